"""Projects as their service sees them, on both databases: visibility, archiving once, names as they are."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from openhearth.accounts.access import AccessTable
from openhearth.accounts.audit.tables import AuditLogRow
from openhearth.accounts.keys import Keys
from openhearth.accounts.project_users.service import ProjectUsers
from openhearth.accounts.projects.service import Projects
from openhearth.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied, UnsupportedParameter
from openhearth.store.database import Database
from openhearth.wire.organization.project_users import ProjectUserCreate
from openhearth.wire.organization.projects import ProjectCreate, ProjectsQuery, ProjectUpdate
from tests.support.people import add_user, first_owner, holding, logged_in

HOSTILE = ["'; DROP TABLE projects; --", 'Robert"); DELETE FROM api_keys', "%s %(x)s {0} :name", "☃️ 日本語 \u202e", "a" * 256]


@pytest.fixture
def projects(database: Database) -> Projects:
    return Projects(database)


async def logged(database: Database, event: str) -> int:
    async with database.session() as session:
        return int(await session.scalar(select(func.count()).select_from(AuditLogRow).where(AuditLogRow.type == event)) or 0)


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_name_is_a_text_and_nothing_else(projects: Projects, name: str) -> None:
    made = await projects.create(None, ProjectCreate(name))
    assert (await projects.get(made.id)).name == name
    assert {p.name for p in await projects.find(None, ProjectsQuery())} == {"Default project", name}


@pytest.mark.parametrize("project_id", [*HOSTILE, "", "proj_none"])
async def test_what_is_not_there_is_not_found(projects: Projects, project_id: str) -> None:
    with pytest.raises(NotFound):
        await projects.get(project_id)
    with pytest.raises(NotFound):
        await projects.archive(None, project_id)
    with pytest.raises(NotFound):
        await projects.find(None, ProjectsQuery(after=project_id))


async def test_pages_hold_each_project_once(projects: Projects) -> None:
    made = {(await projects.create(None, ProjectCreate(f"p{number}"))).id for number in range(7)} | {"proj_default"}
    seen: list[str] = []
    after = None
    while True:
        found = await projects.find(None, ProjectsQuery(after=after, limit=3))
        seen += [project.id for project in found[:3]]
        if len(found) <= 3:
            break
        after = found[2].id
    assert len(seen) == len(set(seen)) == 8
    assert set(seen) == made


async def test_archiving_ends_the_keys_at_once_and_hides_the_project(projects: Projects, database: Database) -> None:
    project = await projects.create(None, ProjectCreate("short-lived"))
    secret, _row = await Keys(database).create("one", project_id=project.id)
    access = AccessTable(database)
    await access.check(secret)
    archived = await projects.archive(None, project.id)
    assert (archived.status, archived.archived_at is not None) == ("archived", True)
    with pytest.raises(AuthenticationFailed):
        await access.check(secret)
    assert [p.id for p in await projects.find(None, ProjectsQuery())] == ["proj_default"]
    assert {p.id for p in await projects.find(None, ProjectsQuery(include_archived=True))} == {"proj_default", project.id}
    with pytest.raises(InvalidRequest):
        await projects.update(None, project.id, ProjectUpdate("new name"))


async def test_of_many_who_archive_at_once_one_does(projects: Projects, database: Database) -> None:
    project = await projects.create(None, ProjectCreate("contested"))
    replies = await asyncio.gather(*(projects.archive(None, project.id) for _ in range(8)))
    assert len({reply.archived_at for reply in replies}) == 1
    assert await logged(database, "project.archived") == 1


async def test_the_default_project_stays(projects: Projects) -> None:
    with pytest.raises(InvalidRequest):
        await projects.archive(None, "proj_default")
    with pytest.raises(InvalidRequest):
        await projects.update(None, "proj_default", ProjectUpdate("mine"))


async def test_what_can_not_be_promised_is_refused(projects: Projects) -> None:
    refused = (
        ProjectCreate("x", residency="EU_STORAGE_PROCESSING"),
        ProjectCreate("x", external_key_id="key"),
        ProjectCreate("x", geography="eu"),
    )
    for wanted in refused:
        with pytest.raises(UnsupportedParameter):
            await projects.create(None, wanted)
    assert (await projects.create(None, ProjectCreate("x", residency="GLOBAL"))).residency == "GLOBAL"


async def test_members_see_their_projects_only(projects: Projects, database: Database) -> None:
    mine, other = [await projects.create(None, ProjectCreate(name)) for name in ("mine", "other")]
    user = await add_user(database, "member@example.org", role="none")
    await ProjectUsers(database).add(None, mine.id, ProjectUserCreate("member", user_id=user))
    actor = await logged_in(database, user, mine.id)
    assert [p.id for p in await projects.find(actor, ProjectsQuery())] == [mine.id]
    with pytest.raises(NotFound) as stranger:
        await projects.find(actor, ProjectsQuery(after=other.id))
    with pytest.raises(NotFound) as absent:
        await projects.find(actor, ProjectsQuery(after="proj_none"))
    assert stranger.value.message.replace(other.id, "") == absent.value.message.replace("proj_none", "").replace("''", "''")


async def test_a_projects_owner_makes_no_new_projects(projects: Projects, database: Database) -> None:
    project = await projects.create(None, ProjectCreate("mine"))
    user = await add_user(database, "owner@example.org", role="none")
    await ProjectUsers(database).add(None, project.id, ProjectUserCreate("owner", user_id=user))
    actor = await logged_in(database, user, project.id)
    actor.require("api.projects.write", project.id)
    with pytest.raises(PermissionDenied):
        await projects.create(actor, ProjectCreate("another"))


async def test_who_makes_it_owns_it_and_the_log_says_who(projects: Projects, database: Database) -> None:
    owner = await first_owner(database)
    made = await projects.create(holding(["api.projects.write"], owner_id=owner), ProjectCreate("logged"))
    users = await ProjectUsers(database).find(made.id, ProjectsQuery())
    assert [(user.id, user.role) for user in users] == [(owner, "owner")]
    async with database.session() as session:
        row = (await session.scalars(select(AuditLogRow).where(AuditLogRow.type == "project.created"))).one()
    assert (row.resource_id, row.actor_id, row.details["data"]["name"]) == (made.id, owner, "logged")
