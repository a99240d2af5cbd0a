"""One maker for each kind of thing that a route's path can name. A route whose parameter has none fails the walk: see `maker_of`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from openhearth.accounts.groups.members import GroupMembers
from openhearth.accounts.groups.projects import ProjectGroups
from openhearth.accounts.groups.service import Groups
from openhearth.accounts.roles.assignments import Assignments, Place
from openhearth.accounts.roles.service import Roles
from openhearth.inference.stored_completions.tables import StoredCompletionRow
from openhearth.store.database import Database
from openhearth.wire.ids import new_id
from openhearth.wire.organization.roles import RoleCreation
from tests.support.accounts import a_user, join


@dataclass(frozen=True)
class Spot:
    """Where a thing is wanted: the route's path, the project that it must belong to, and the path's parameters before it."""

    database: Database
    path: str
    project_id: str
    earlier: Mapping[str, str]

    @property
    def in_project(self) -> str:
        """The project if the path names one, else empty: the thing is the organization's."""
        return self.project_id if "{project_id}" in self.path else ""


Maker = Callable[[Spot], Awaitable[str]]


async def a_project_id(spot: Spot) -> str:
    return spot.project_id


async def a_completion(spot: Spot) -> str:
    completion = {"id": new_id("chatcmpl-"), "object": "chat.completion", "created": int(time.time()), "model": "fake:chat", "choices": []}
    row = StoredCompletionRow(
        id=completion["id"],
        project_id=spot.project_id,
        model="fake:chat",
        created_at=1,
        labels={},
        completion=completion,
        messages=[{"role": "user", "content": "A secret of this project."}],
    )
    async with spot.database.session() as session:
        session.add(row)
    return str(completion["id"])


async def a_group(spot: Spot) -> str:
    group = await Groups(spot.database).create(None, new_id("group "))
    if spot.in_project:
        await ProjectGroups(spot.database).add(None, spot.project_id, group.id, "member")
    return group.id


async def a_member(spot: Spot) -> str:
    """A user; of the path's project and group, where it has them."""
    user_id = await a_user(spot.database)
    if spot.in_project:
        await join(spot.database, spot.project_id, user_id)
    if "group_id" in spot.earlier:
        await GroupMembers(spot.database).add(None, spot.earlier["group_id"], user_id)
    return user_id


async def a_role(spot: Spot) -> str:
    """A role; given to the path's user or group, where it has one."""
    role = await Roles(spot.database).create(None, RoleCreation(new_id("role "), []), spot.in_project)
    for kind in ("user", "group"):
        if f"{kind}_id" in spot.earlier:
            place = Place(kind, spot.earlier[f"{kind}_id"], spot.in_project)  # type: ignore[arg-type]
            await Assignments(spot.database).give(None, place, role.id)
    return role.id


async def body_values(spot: Spot) -> dict[str, object]:
    """For fields of bodies by name: things that are there and free to be used, and names that nobody has."""
    user_id = await a_user(spot.database)
    group = await Groups(spot.database).create(None, new_id("group "))
    role = await Roles(spot.database).create(None, RoleCreation(new_id("role "), []), spot.in_project)
    fresh: dict[str, object] = {"name": new_id("name "), "role_name": new_id("role "), "permissions": [], "description": new_id("about ")}
    return {**fresh, "user_id": user_id, "group_id": group.id, "role_id": role.id, "role": "member"}


MAKERS: dict[str, Maker] = {
    "project_id": a_project_id,
    "completion_id": a_completion,
    "group_id": a_group,
    "user_id": a_member,
    "role_id": a_role,
}
SHARED = {"model": "fake:chat", "engine": "fake:chat"}
"""What every project sees, because it belongs to none: models that are installed."""


def maker_of(name: str, route: str) -> Maker:
    """Fails for what nobody makes."""
    if name not in MAKERS:
        raise AssertionError(
            f"Nobody knows how to make a '{{{name}}}' for {route}, so it isn't known whether strangers see it. Add a maker to MAKERS in "
            "tests/support/isolation/belongings.py: a function that makes one in the spot's project and gives its id. What all "
            "projects may see goes into SHARED."
        )
    return MAKERS[name]
