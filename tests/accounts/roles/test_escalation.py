"""Nobody makes anybody able to do more than they can do themselves: not by a role, not through a group, not in a project."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from openhearth.accounts.access import AccessTable
from openhearth.accounts.groups.members import GroupMembers
from openhearth.accounts.groups.projects import ProjectGroups
from openhearth.accounts.groups.service import Groups
from openhearth.accounts.principal import Principal
from openhearth.accounts.roles.assignments import Assignments, Place
from openhearth.accounts.roles.service import Roles
from openhearth.errors import InvalidRequest, NotFound, PermissionDenied
from openhearth.store.database import Database
from openhearth.wire.organization.roles import RoleChanges, RoleCreation
from tests.support.accounts import a_key, a_project, a_user, join, logged_in, the_owner

MANAGER = ["api.roles.read", "api.roles.write", "api.groups.read", "api.groups.write", "api.users.read"]


class Rooms:
    """What the tests act on."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.roles, self.assignments = Roles(database), Assignments(database)
        self.groups, self.members, self.projects = Groups(database), GroupMembers(database), ProjectGroups(database)

    async def given(self, place: Place, *permissions: str) -> str:
        """A role that somebody at the machine made and gave."""
        role = await self.roles.create(None, RoleCreation(f"role of {place.principal_id}", list(permissions)), place.project_id)
        await self.assignments.give(None, place, role.id)
        return role.id

    async def manager(self) -> tuple[str, Principal]:
        """A user who may write roles and groups of the organization, but not much else."""
        user_id = await a_user(self.database)
        await self.given(Place("user", user_id), *MANAGER)
        return user_id, await logged_in(self.database, user_id)


@pytest.fixture
def rooms(database: Database) -> Rooms:
    return Rooms(database)


async def refused(act: Callable[[], Awaitable[object]]) -> PermissionDenied:
    with pytest.raises(PermissionDenied, match="don't have") as caught:
        await act()
    assert caught.value.code == "permission_escalation"
    return caught.value


@pytest.mark.parametrize("permissions", [["api.all"], ["api.all.read"], ["api.users.write"], [*MANAGER, "api.model.request"]])
async def test_a_role_with_more_is_not_made(rooms: Rooms, permissions: list[str]) -> None:
    _, manager = await rooms.manager()
    error = await refused(lambda: rooms.roles.create(manager, RoleCreation("more", permissions)))
    assert error.param == "permissions"
    made = await rooms.roles.create(manager, RoleCreation("as much", MANAGER))
    assert made.permissions == MANAGER


async def test_a_role_that_one_has_does_not_grow(rooms: Rooms) -> None:
    user_id, manager = await rooms.manager()
    (own,) = [role.id for role in await rooms.assignments.find(Place("user", user_id)) if not role.predefined_role]
    for more in ([*MANAGER, "api.users.write"], ["api.all"]):
        await refused(lambda more=more: rooms.roles.change(manager, own, RoleChanges(permissions=more)))  # type: ignore[misc]
    await rooms.roles.change(manager, own, RoleChanges(permissions=MANAGER[:2], role_name="less"))
    assert not (await logged_in(rooms.database, user_id)).may("api.groups.write")


async def test_a_stronger_role_may_be_renamed_and_weakened_but_not_strengthened(rooms: Rooms) -> None:
    _, manager = await rooms.manager()
    strong = await rooms.roles.create(None, RoleCreation("strong", ["api.users.write", "api.usage.read"]))
    await rooms.roles.change(manager, strong.id, RoleChanges(role_name="renamed", permissions=["api.users.write"]))
    await refused(lambda: rooms.roles.change(manager, strong.id, RoleChanges(permissions=["api.users.write", "api.usage.read"])))


async def test_a_stronger_role_is_not_given(rooms: Rooms) -> None:
    user_id, manager = await rooms.manager()
    strong = await rooms.roles.create(None, RoleCreation("strong", ["api.users.write"]))
    group = await rooms.groups.create(manager, "mine")
    for role_id in (strong.id, "role-api-organization-owner"):
        for place in (Place("user", user_id), Place("group", group.id)):
            error = await refused(lambda place=place, role_id=role_id: rooms.assignments.give(manager, place, role_id))  # type: ignore[misc]
            assert error.param == "role_id"


async def test_nobody_joins_a_stronger_group(rooms: Rooms) -> None:
    user_id, manager = await rooms.manager()
    strong, in_project = await rooms.groups.create(None, "strong"), await rooms.groups.create(None, "strong in a project")
    await rooms.given(Place("group", strong.id), "api.users.write")
    await rooms.projects.add(None, "proj_default", in_project.id, "member")
    for group in (strong, in_project):
        await refused(lambda group=group: rooms.members.add(manager, group.id, user_id))  # type: ignore[misc]
    weak = await rooms.groups.create(None, "weak")
    await rooms.given(Place("group", weak.id), "api.users.read")
    await rooms.members.add(manager, weak.id, user_id)


@pytest.fixture
async def project_manager(rooms: Rooms) -> tuple[str, Principal]:
    """A user in a project who may manage its roles and users, and use nothing in it."""
    project_id, user_id = await a_project(rooms.database), await a_user(rooms.database)
    group = await rooms.groups.create(None, "managers")
    role = await rooms.roles.create(None, RoleCreation("managers", ["api.project_roles.write", "api.project_users.write"]), project_id)
    await rooms.projects.add(None, project_id, group.id, role.id)
    await rooms.members.add(None, group.id, user_id)
    return project_id, await logged_in(rooms.database, user_id, project_id)


async def test_a_project_manager_gives_what_it_has_there_only(rooms: Rooms, project_manager: tuple[str, Principal]) -> None:
    project_id, manager = project_manager
    for permissions in (["api.all"], ["api.model.request"], ["api.all.read"]):
        wanted = RoleCreation("more", permissions)
        await refused(lambda wanted=wanted: rooms.roles.create(manager, wanted, project_id))  # type: ignore[misc]
    await rooms.roles.create(manager, RoleCreation("same", ["api.project_roles.write"]), project_id)
    own = await rooms.groups.create(None, "friends")
    for role in ("owner", "member", "role-api-project-owner"):
        await refused(lambda role=role: rooms.projects.add(manager, project_id, own.id, role))  # type: ignore[misc]
    other = await a_project(rooms.database)
    await refused(lambda: rooms.roles.create(manager, RoleCreation("same", ["api.project_roles.write"]), other))


async def test_a_projects_owner_never_reaches_beyond_the_project(rooms: Rooms) -> None:
    """`api.all` in a project is all of the project, and the header that chooses a project doesn't make its manager the organization's."""
    project_id, user_id = await a_project(rooms.database), await a_user(rooms.database)
    await join(rooms.database, project_id, user_id, "owner")
    owner = await logged_in(rooms.database, user_id, project_id)
    everything = await rooms.roles.create(owner, RoleCreation("everything", ["api.all"]), project_id)
    await rooms.assignments.give(owner, Place("user", user_id, project_id), everything.id)
    owner = await logged_in(rooms.database, user_id, project_id)
    assert owner.may("api.spend.write", project_id)
    assert owner.may("api.model.request")
    for permission in ("api.spend.write", "api.projects.write", "api.users.write", "api.roles.write", "api.audit_logs.read"):
        assert not owner.may(permission), permission
        assert not owner.may(permission, "proj_default"), permission


async def test_roles_of_another_place_are_not_there(rooms: Rooms) -> None:
    project_id, other, user_id = await a_project(rooms.database), await a_project(rooms.database), await a_user(rooms.database)
    await join(rooms.database, project_id, user_id)
    foreign = await rooms.roles.create(None, RoleCreation("foreign", ["api.model.request"]), other)
    for role_id in (foreign.id, "role-api-organization-owner", "role_nothing"):
        with pytest.raises(NotFound, match="No role"):
            await rooms.assignments.give(None, Place("user", user_id, project_id), role_id)
    for role_id in (foreign.id, "role-api-project-owner"):
        with pytest.raises(NotFound, match="No role"):
            await rooms.assignments.give(None, Place("user", user_id), role_id)
    with pytest.raises(NotFound, match="in this project"):
        await rooms.assignments.give(None, Place("user", user_id, other), foreign.id)


async def test_an_owners_admin_key_hands_out_the_use_of_projects_without_having_it(rooms: Rooms) -> None:
    database = rooms.database
    access = AccessTable(database)
    owner = await the_owner(database)
    full = Principal(await access.check(await a_key(database, None, user_id=owner)), "")
    assert not full.may("api.model.request", "proj_default")
    await rooms.roles.create(full, RoleCreation("user", ["api.model.request"]), "proj_default")
    narrow = Principal(
        await access.check(await a_key(database, None, user_id=owner, scopes=["api.roles.write", "api.project_roles.write"])), ""
    )
    for place in ("", "proj_default"):
        await refused(lambda place=place: rooms.roles.create(narrow, RoleCreation("x", ["api.model.request"]), place))  # type: ignore[misc]
    lesser = Principal(await access.check(await a_key(database, None, user_id=await a_user(database))), "")
    await refused(lambda: rooms.roles.create(lesser, RoleCreation("y", ["api.all"])))


async def test_predefined_roles_can_not_be_widened(rooms: Rooms) -> None:
    user_id, _ = await rooms.manager()
    owner = await logged_in(rooms.database, await the_owner(rooms.database))
    with pytest.raises(InvalidRequest):
        await rooms.roles.change(owner, "role-api-organization-reader", RoleChanges(permissions=["api.all"]))
    assert not (await logged_in(rooms.database, user_id)).may("api.users.write")
