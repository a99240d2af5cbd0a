"""Users in projects: only the organization's, nobody above the giver, and out means out."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from openhearth.accounts.access import AccessTable
from openhearth.accounts.api_keys.own import OwnKeys
from openhearth.accounts.api_keys.service import ProjectKeys
from openhearth.accounts.audit.tables import AuditLogRow
from openhearth.accounts.permissions import PROJECT_ROLES
from openhearth.accounts.project_users.service import ProjectUsers
from openhearth.accounts.projects.service import Projects
from openhearth.accounts.tables import RoleAssignmentRow
from openhearth.errors import AuthenticationFailed, Conflict, InvalidRequest, NotFound, PermissionDenied
from openhearth.store.database import Database
from openhearth.wire.organization.lists import CursorQuery
from openhearth.wire.organization.project_api_keys import OwnKeyCreate, ProjectKeysQuery
from openhearth.wire.organization.project_users import ProjectUserCreate, ProjectUserUpdate
from openhearth.wire.organization.projects import ProjectCreate
from tests.support.people import add_user, holding, logged_in


@pytest.fixture
def users(database: Database) -> ProjectUsers:
    return ProjectUsers(database)


@pytest.fixture
async def project(database: Database) -> str:
    return (await Projects(database).create(None, ProjectCreate("ours"))).id


async def test_only_users_of_the_organization_are_added_and_once(users: ProjectUsers, database: Database, project: str) -> None:
    user = await add_user(database, "anna@example.org")
    for wanted in (ProjectUserCreate("member", user_id="user-none"), ProjectUserCreate("member", email="nobody@example.org")):
        with pytest.raises(InvalidRequest):
            await users.add(None, project, wanted)
    for wanted in (ProjectUserCreate("member"), ProjectUserCreate("member", user, "anna@example.org")):
        with pytest.raises(InvalidRequest):
            await users.add(None, project, wanted)
    assert (await users.add(None, project, ProjectUserCreate("member", email="Anna@Example.org"))).id == user
    with pytest.raises(Conflict):
        await users.add(None, project, ProjectUserCreate("owner", user_id=user))
    assert (await users.get(project, user)).role == "member"


async def test_of_many_who_add_or_remove_at_once_one_does(users: ProjectUsers, database: Database, project: str) -> None:
    user = await add_user(database, "anna@example.org")
    added = await asyncio.gather(
        *(users.add(None, project, ProjectUserCreate("member", user_id=user)) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in added) == ["Conflict"] * 3 + ["ProjectUser"]
    removed = await asyncio.gather(*(users.remove(None, project, user) for _ in range(4)), return_exceptions=True)
    assert sum(each is None for each in removed) == 1
    assert all(isinstance(each, NotFound) for each in removed if each is not None)
    async with database.session() as session:
        events = [row.type for row in await session.scalars(select(AuditLogRow).where(AuditLogRow.resource_id == user))]
    assert events == ["user.added", "user.deleted"]


async def test_a_removed_users_keys_are_refused_at_once_and_shown_as_inactive(
    users: ProjectUsers, database: Database, project: str
) -> None:
    user = await add_user(database, "anna@example.org")
    await users.add(None, project, ProjectUserCreate("member", user_id=user))
    async with database.session() as session:
        session.add(
            RoleAssignmentRow(role_id="role-api-project-owner", principal_type="user", principal_id=user, project_id=project, created_at=1)
        )
    access = AccessTable(database)
    key = await OwnKeys(database, access).create(await logged_in(database, user, project), project, OwnKeyCreate("laptop"))
    await access.check(key.value)
    await users.remove(None, project, user)
    with pytest.raises(AuthenticationFailed):
        await access.check(key.value)
    keys = ProjectKeys(database, access)
    assert await keys.find(project, ProjectKeysQuery()) == []
    assert await keys.find(project, ProjectKeysQuery(owner_project_access="active")) == []
    (shown,) = await keys.find(project, ProjectKeysQuery(owner_project_access="inactive"))
    assert (shown.id, shown.owner_project_access) == (key.id, "inactive")
    assert [each.id for each in await keys.find(project, ProjectKeysQuery(owner_project_access="any"))] == [key.id]


async def test_nobody_makes_owners_who_may_not_do_it_all(users: ProjectUsers, database: Database, project: str) -> None:
    user = await add_user(database, "anna@example.org")
    some = holding(["api.project_users.write", "api.project_users.read"])
    with pytest.raises(PermissionDenied):
        await users.add(some, project, ProjectUserCreate("owner", user_id=user))
    with pytest.raises(PermissionDenied, match="don't have in this project") as caught:
        await users.add(some, project, ProjectUserCreate("member", user_id=user))
    assert (caught.value.code, caught.value.param) == ("permission_escalation", "role")
    using = holding([*PROJECT_ROLES["member"], "api.project_users.write"])
    await users.add(using, project, ProjectUserCreate("member", user_id=user))
    with pytest.raises(PermissionDenied):
        await users.update(some, project, user, ProjectUserUpdate("owner"))
    await users.update(holding(["api.all"]), project, user, ProjectUserUpdate("owner"))
    with pytest.raises(PermissionDenied):
        await users.update(some, project, user, ProjectUserUpdate("member"))
    with pytest.raises(PermissionDenied):
        await users.remove(some, project, user)
    await users.update(None, project, user, ProjectUserUpdate("member"))
    await users.remove(some, project, user)


async def test_pages_and_strangers(users: ProjectUsers, database: Database, project: str) -> None:
    ids = {await add_user(database, f"user{number}@example.org") for number in range(5)}
    for user in ids:
        await users.add(None, project, ProjectUserCreate("member", user_id=user))
    first = await users.find(project, CursorQuery(limit=4))
    rest = await users.find(project, CursorQuery(after=first[3].id, limit=4))
    seen = [user.id for user in [*first[:4], *rest]]
    assert len(seen) == len(set(seen)) == 6
    assert ids < set(seen)
    with pytest.raises(NotFound):
        await users.get("proj_default", next(iter(ids)))
    with pytest.raises(NotFound):
        await users.find(project, CursorQuery(after="user-'; DROP TABLE users; --"))
