"""People with one permission who try to get more by it, for themselves or a friend, at every route that takes it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from openhearth.accounts.groups.members import GroupMembers
from openhearth.accounts.groups.projects import ProjectGroups
from openhearth.accounts.groups.service import Groups
from openhearth.accounts.membership import read_membership
from openhearth.accounts.people.tables import InviteRow
from openhearth.accounts.permissions import OF_PROJECTS, ORGANIZATION_ROLES, PROJECT_ROLES, expand
from openhearth.accounts.roles.assignments import Assignments, Place
from openhearth.accounts.roles.service import Roles
from openhearth.accounts.tables import ApiKeyRow, ProjectRow
from openhearth.store.database import Database
from openhearth.web.endpoint import Endpoint
from openhearth.wire.ids import new_id
from openhearth.wire.organization.roles import RoleCreation
from tests.support.accounts import a_project, a_user, join
from tests.support.isolation.belongings import MAKERS, PLAIN_VALUES, SHARED, Spot
from tests.support.isolation.cast import Actor
from tests.support.isolation.samples import encoded
from tests.support.isolation.walk import Walk, filled, parameters

GIVING = frozenset({"role", "role_id", "permissions", "user_id"})
"""Fields of bodies by which somebody may come to be able to do more."""
MADE = "made for the route"
Powers = dict[tuple[str, str], frozenset[str]]
"""(user, service account, key, or invite that may be accepted; project or empty) -> permissions."""


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
        "role": ("owner", "member", "reader", strong_role.id, own_role.id),
        "projects": ([{"id": project_id, "role": "member"}], None),
        "permissions": (["api.all"], [permission]),
    }
    actor = Actor(f"somebody with {permission}", {"openai-project": project_id}, project_id, login=user_id)
    return Climber(actor, user_id, permission, place, project_id, choices)


async def powers(database: Database) -> Powers:
    """What everybody can do now."""
    async with database.session() as session:
        membership = await read_membership(session)
        invites = list(await session.scalars(select(InviteRow)))
        keys = list(await session.scalars(select(ApiKeyRow)))
    found: Powers = {(user_id, ""): given for user_id, given in membership.organization.items()}
    found.update({(owner, project): given for owner, of in membership.projects.items() for project, given in of.items()})
    for invite in invites:
        found[invite.id, ""] = ORGANIZATION_ROLES[invite.role]
        found.update({(invite.id, project["id"]): PROJECT_ROLES[project["role"]] for project in invite.projects})
    for key in keys:
        owner_may = membership.of_key(key) & OF_PROJECTS if key.project_id else membership.in_organization(key.user_id or "")
        found[key.id, key.project_id or ""] = owner_may & expand(["api.all"] if key.scopes is None else key.scopes)
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
        before, projects = before | await powers(walk.house.database), await _projects(walk.house.database)
        answer = await walk.ask(who.actor, endpoint, path, body)
        after = await powers(walk.house.database)
        mine = before.get((who.user_id, ""), frozenset()) | before.get((who.user_id, who.project_id), frozenset())
        grown = {at: given - before.get(at, frozenset()) - mine for at, given in after.items() if at[1] in projects}
        found.gained += [f"{path} {body.decode()}: {at} got {sorted(more)[:5]}" for at, more in grown.items() if more]
        found.refused += answer.status == 403
        found.done += answer.status < 300
        before = after
    return found


async def _projects(database: Database) -> frozenset[str]:
    """Those that there are, and the organization. A new project's maker owns it, and can do nothing by that in the others."""
    async with database.session() as session:
        return frozenset(await session.scalars(select(ProjectRow.id))) | {""}


async def _attempts(walk: Walk, who: Climber, endpoint: Endpoint) -> AsyncIterator[tuple[str, bytes]]:
    """Every choice of path and body that concerns what the climber has, what it wants, and the two users."""
    names = [name for name in parameters(endpoint) if name not in SHARED]
    paths = _products({name: who.choices.get(name, (MADE,)) for name in names})
    fields = _products({name: chosen for name, chosen in who.choices.items() if name in fields_of(endpoint)})
    if {"role", "role_id"} <= fields_of(endpoint):  # one or the other
        fields = [{name: chosen[name] for name in chosen if name != other} for chosen in fields for other in ("role", "role_id")]
    for values, chosen in itertools.product(paths, fields):
        fresh = {"role_name": new_id("r"), "name": new_id("n"), "email": new_id("somebody").lower() + "@example.com"}
        if "user_id" in chosen:
            del fresh["email"]  # a user is named by one or the other
        wanted = {**PLAIN_VALUES, **chosen, "scopes": ["api.all"], **fresh}
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
