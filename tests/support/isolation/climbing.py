"""People with one permission who try to get more by it, for themselves or a friend, at every route that takes it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from openhearth.accounts.groups.members import GroupMembers
from openhearth.accounts.groups.projects import ProjectGroups
from openhearth.accounts.groups.service import Groups
from openhearth.accounts.membership import read_membership
from openhearth.accounts.roles.assignments import Assignments, Place
from openhearth.accounts.roles.service import Roles
from openhearth.store.database import Database
from openhearth.web.endpoint import Endpoint
from openhearth.wire.ids import new_id
from openhearth.wire.organization.roles import RoleCreation
from tests.support.accounts import a_project, a_user, join
from tests.support.isolation.belongings import MAKERS, SHARED, Spot
from tests.support.isolation.cast import Actor
from tests.support.isolation.logins import cookie
from tests.support.isolation.samples import encoded
from tests.support.isolation.walk import Walk, filled, parameters

GIVING = frozenset({"role", "role_id", "permissions", "user_id"})
"""Fields of bodies by which somebody may come to be able to do more."""
MADE = "made for the route"
Powers = dict[tuple[str, str], frozenset[str]]
"""(user or service account, project or empty) -> permissions."""


@dataclass(frozen=True)
class Climber:
    """`place` empty: its one permission holds in the organization."""

    actor: Actor
    user_id: str
    permission: str
    place: str
    project_id: str
    choices: Mapping[str, tuple[Any, ...]]
    """For parameters and fields by name: what it has and what it wants."""


async def climber(database: Database, permission: str, *, in_project: bool) -> Climber:
    """Somebody with one permission by a role through a group, beside whom stronger roles and groups are to be had."""
    project_id, user_id, friend = await a_project(database), await a_user(database), await a_user(database)
    roles, groups, members = Roles(database), Groups(database), GroupMembers(database)
    place = project_id if in_project else ""
    own_role = await roles.create(None, RoleCreation(new_id("own "), [permission]), place)
    own, strong = await groups.create(None, "own"), await groups.create(None, "strong")
    strong_role = await roles.create(None, RoleCreation(new_id("strong "), ["api.all"]), place)
    for group, role in ((own, own_role), (strong, strong_role)):
        if in_project:
            await ProjectGroups(database).add(None, project_id, group.id, role.id)
        else:
            await Assignments(database).give(None, Place("group", group.id), role.id)
    await members.add(None, own.id, user_id)
    await join(database, project_id, friend)
    owner = "role-api-project-owner" if in_project else "role-api-organization-owner"
    choices = {
        "user_id": (user_id, friend),
        "group_id": (own.id, strong.id),
        "role_id": (own_role.id, strong_role.id, owner),
        "role": ("owner", strong_role.id, own_role.id),
        "permissions": (["api.all"], [permission]),
    }
    headers = {**cookie(user_id), "openai-project": project_id}
    return Climber(Actor(f"somebody with {permission}", headers, project_id), user_id, permission, place, project_id, choices)


async def powers(database: Database) -> Powers:
    """What everybody can do now."""
    async with database.session() as session:
        membership = await read_membership(session)
    found: Powers = {(user_id, ""): given for user_id, given in membership.organization.items()}
    found.update({(owner, project): given for owner, of in membership.projects.items() for project, given in of.items()})
    return found


@dataclass
class Climb:
    """What came of the attempts at one route by somebody who may use it."""

    gained: list[str]
    """Permissions that somebody came to have and the climber hadn't."""
    refused: int = 0
    done: int = 0


async def climb(walk: Walk, endpoint: Endpoint, *, in_project: bool) -> Climb:
    """By somebody who has nothing but the route's own permission, in the organization or in one project."""
    who = await climber(walk.house.database, endpoint.permission or "", in_project=in_project)
    found, before = Climb([]), await powers(walk.house.database)
    async for path, body in _attempts(walk, who, endpoint):
        before = before | await powers(walk.house.database)
        answer = await walk.ask(who.actor, endpoint, path, body)
        after = await powers(walk.house.database)
        mine = before.get((who.user_id, ""), frozenset()) | before.get((who.user_id, who.project_id), frozenset())
        grown = {at: given - before.get(at, frozenset()) - mine for at, given in after.items()}
        found.gained += [f"{path} {body.decode()}: {at} got {sorted(more)[:5]}" for at, more in grown.items() if more]
        found.refused += answer.status == 403
        found.done += answer.status < 300
        before = after
    return found


async def _attempts(walk: Walk, who: Climber, endpoint: Endpoint) -> AsyncIterator[tuple[str, bytes]]:
    """Every choice of path and body that concerns what the climber has, what it wants, and the two users."""
    names = [name for name in parameters(endpoint) if name not in SHARED]
    paths = _products({name: who.choices.get(name, (MADE,)) for name in names})
    fields = _products({name: chosen for name, chosen in who.choices.items() if name in fields_of(endpoint)})
    for values, chosen in itertools.product(paths, fields):
        wanted = {**chosen, "scopes": ["api.all"], "role_name": new_id("r"), "name": new_id("n")}
        yield filled(endpoint.path, await _made(walk, who, endpoint, values)), encoded(endpoint.request, wanted, whole=True)


def fields_of(endpoint: Endpoint) -> frozenset[str]:
    """The names of a body's fields."""
    return frozenset(getattr(endpoint.request, "__struct_encode_fields__", ()))


async def _made(walk: Walk, who: Climber, endpoint: Endpoint, values: Mapping[str, str]) -> dict[str, str]:
    made: dict[str, str] = {**SHARED}
    for name, value in values.items():
        spot = Spot(walk.house.database, endpoint.path, who.project_id, {key: made[key] for key in made if key not in SHARED})
        made[name] = await MAKERS[name](spot) if value == MADE else value
    return made


def _products(choices: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
