"""What roles and groups do: their permissions through a user's keys and logins, and nothing else; gone at once when taken."""

from __future__ import annotations

import pytest

from openhearth.accounts.access import AccessTable
from openhearth.accounts.audit.reading import AuditLog
from openhearth.accounts.groups.members import GroupMembers
from openhearth.accounts.groups.projects import ProjectGroups
from openhearth.accounts.groups.service import Groups
from openhearth.accounts.permissions import ORGANIZATION_ROLES
from openhearth.accounts.roles.assignments import Assignments, Place
from openhearth.accounts.roles.service import Roles
from openhearth.errors import AuthenticationFailed, Conflict, NotFound
from openhearth.store.database import Database
from openhearth.wire.organization.audit_logs import AuditLogsQuery
from openhearth.wire.organization.roles import AssignmentSource, RoleChanges, RoleCreation
from tests.support.accounts import a_key, a_project, a_user, join, leave, logged_in

READ = frozenset({"api.stored_completions.read", "api.model.read", "api.rate_limits.read"})
USED = READ - {"api.rate_limits.read"}
"""What a project's key can have of it: it manages nothing."""


@pytest.fixture
def access(database: Database) -> AccessTable:
    return AccessTable(database)


@pytest.fixture
def assignments(database: Database) -> Assignments:
    return Assignments(database)


async def has(database: Database, access: AccessTable, key: str, user_id: str, project_id: str) -> tuple[frozenset[str], frozenset[str]]:
    """The project's permissions of a key and of a login; a key that is refused has none."""
    session = (await logged_in(database, user_id)).access.projects.get(project_id, frozenset())
    try:
        return (await access.check(key)).projects[project_id], session
    except AuthenticationFailed:
        return frozenset(), session


async def test_a_group_gives_exactly_its_roles_permissions(database: Database, access: AccessTable, assignments: Assignments) -> None:
    project_id, user_id = await a_project(database), await a_user(database)
    key = await a_key(database, project_id, user_id=user_id)
    groups, members, projects, roles = Groups(database), GroupMembers(database), ProjectGroups(database), Roles(database)
    nothing: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    role = await roles.create(None, RoleCreation("lookers", sorted(READ)), project_id)
    group = await groups.create(None, "lookers")
    await projects.add(None, project_id, group.id, role.id)
    assert await has(database, access, key, user_id, project_id) == nothing
    await members.add(None, group.id, user_id)
    assert await has(database, access, key, user_id, project_id) == (USED, READ)
    await roles.change(None, role.id, RoleChanges(permissions=["api.model.read"]), project_id)
    assert await has(database, access, key, user_id, project_id) == (frozenset({"api.model.read"}),) * 2
    await members.remove(None, group.id, user_id)
    assert await has(database, access, key, user_id, project_id) == nothing
    await members.add(None, group.id, user_id)
    await assignments.take(None, Place("group", group.id, project_id), role.id)
    assert await has(database, access, key, user_id, project_id) == nothing
    await assignments.give(None, Place("group", group.id, project_id), role.id)
    assert (await has(database, access, key, user_id, project_id))[0]
    await projects.remove(None, project_id, group.id)
    assert await has(database, access, key, user_id, project_id) == nothing
    await projects.add(None, project_id, group.id, role.id)
    await roles.delete(None, role.id, project_id)
    assert await has(database, access, key, user_id, project_id) == nothing
    await projects.remove(None, project_id, group.id)
    await projects.add(None, project_id, group.id, "member")
    assert "api.model.request" in (await has(database, access, key, user_id, project_id))[0]
    await groups.delete(None, group.id)
    assert await has(database, access, key, user_id, project_id) == nothing


async def test_an_organizations_role_counts_in_every_project_and_in_admin_keys(
    database: Database, access: AccessTable, assignments: Assignments
) -> None:
    user_id = await a_user(database)
    admin = await a_key(database, None, user_id=user_id)
    role = await Roles(database).create(None, RoleCreation("billing", ["api.usage.read", "api.model.request"]))
    await assignments.give(None, Place("user", user_id), role.id)
    assert (await access.check(admin)).everywhere == ORGANIZATION_ROLES["reader"] | {"api.usage.read"}
    assert (await logged_in(database, user_id)).may("api.model.request", "proj_default")
    await assignments.take(None, Place("user", user_id), role.id)
    assert (await access.check(admin)).everywhere == ORGANIZATION_ROLES["reader"]
    assert not (await logged_in(database, user_id)).may("api.model.request", "proj_default")


async def test_where_a_role_comes_from_is_told(database: Database, assignments: Assignments) -> None:
    project_id, user_id = await a_project(database), await a_user(database)
    await join(database, project_id, user_id)
    group, role = await Groups(database).create(None, "g"), await Roles(database).create(None, RoleCreation("r", []), project_id)
    await ProjectGroups(database).add(None, project_id, group.id, role.id)
    await GroupMembers(database).add(None, group.id, user_id)
    place = Place("user", user_id, project_id)
    await assignments.give(None, place, role.id)
    found = {held.id: held.assignment_sources for held in await assignments.find(place)}
    through_group = AssignmentSource(group.id, "group")
    assert found == {
        "role-api-project-member": [AssignmentSource(user_id, "user")],
        role.id: [through_group, AssignmentSource(user_id, "user")],
    }
    with pytest.raises(Conflict):
        await assignments.give(None, place, role.id)
    await assignments.take(None, place, role.id)
    assert (await assignments.get(place, role.id)).assignment_sources == [through_group]
    for elsewhere in (role.id, "role-api-project-member"):
        with pytest.raises(Conflict, match="not given here"):
            await assignments.take(None, place, elsewhere)
    with pytest.raises(NotFound):
        await assignments.take(None, place, "role_nothing")
    log, _ = await AuditLog(database).find(AuditLogsQuery(resource_ids=[role.id], limit=3))
    told = {"id": role.id, "principal_type": "user", "principal_id": user_id, "resource_type": "api.project", "resource_id": project_id}
    assert log[0]["role.assignment.deleted"] == log[1]["role.assignment.created"] == told


async def test_who_is_there_only_through_a_group_gets_no_role_by_name(database: Database, assignments: Assignments) -> None:
    """It would stay, unseen, after the user has left the group."""
    project_id, user_id = await a_project(database), await a_user(database)
    group = await Groups(database).create(None, "g")
    await ProjectGroups(database).add(None, project_id, group.id, "member")
    await GroupMembers(database).add(None, group.id, user_id)
    place = Place("user", user_id, project_id)
    assert [role.name for role in await assignments.find(place)] == ["member"]
    with pytest.raises(NotFound, match="in this project"):
        await assignments.give(None, place, "role-api-project-owner")
    await GroupMembers(database).remove(None, group.id, user_id)
    with pytest.raises(NotFound, match="in this project"):
        await assignments.find(place)


async def test_who_left_a_project_can_be_given_nothing_there(database: Database, assignments: Assignments) -> None:
    project_id, user_id = await a_project(database), await a_user(database)
    await join(database, project_id, user_id)
    await leave(database, project_id, user_id)
    with pytest.raises(NotFound):
        await assignments.give(None, Place("user", user_id, project_id), "role-api-project-member")
