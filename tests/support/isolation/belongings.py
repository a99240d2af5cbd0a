"""One maker for each kind of thing that a route's path can name. A route whose parameter has none fails the walk: see `maker_of`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from openhearth.accounts.access import digest
from openhearth.accounts.groups.members import GroupMembers
from openhearth.accounts.groups.projects import ProjectGroups
from openhearth.accounts.groups.service import Groups
from openhearth.accounts.people.invites.service import Invites
from openhearth.accounts.people.passwords import Passwords
from openhearth.accounts.people.users.service import Users
from openhearth.accounts.roles.assignments import Assignments, Place
from openhearth.accounts.roles.service import Roles
from openhearth.accounts.tables import ApiKeyRow
from openhearth.inference.stored_completions.tables import StoredCompletionRow
from openhearth.store.database import Database
from openhearth.usage.spend_alerts.service import SpendAlerts
from openhearth.usage.spend_limits.service import SpendLimits
from openhearth.webhooks.tables import WebhookEndpointRow
from openhearth.wire.ids import new_id
from openhearth.wire.organization.roles import RoleCreation
from openhearth.wire.organization.spending import NotificationChannel, SpendAlertWrite, SpendLimitUpdate
from tests.support.accounts import a_key, a_project, a_service_account, a_user, join, the_owner
from tests.support.isolation.logins import a_session_of


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


PLAIN_VALUES: Mapping[str, object] = {
    "url": "https://8.8.8.8/hook",
    "event_type": "batch.completed",
    "event_types": ["batch.completed"],
    "threshold_amount": 500,
    "recipients": ["somebody@example.com"],
    "current_password": "a mighty fine river",
    "new_password": "a mighty fine lake beyond",
    "expires_in_seconds": 3600,
    "max_requests_per_1_minute": 1000,
    "model_ids": ["fake:chat"],
    "web_search": {"enabled": False},
    "default": "standard",
    "enabled_tiers": "all",
}
"""For fields of bodies by name, what is accepted without anything else being there."""


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


async def a_service_account_id(spot: Spot) -> str:
    return await a_service_account(spot.database, spot.project_id)


async def a_project_key(spot: Spot) -> str:
    """A restricted one of the organization's owner."""
    scopes = ["api.model.read"]
    return await _key_id(spot, await a_key(spot.database, spot.project_id, user_id=await the_owner(spot.database), scopes=scopes))


async def an_admin_key(spot: Spot) -> str:
    return await _key_id(spot, await a_key(spot.database, None, user_id=await the_owner(spot.database)))


async def _key_id(spot: Spot, secret: str) -> str:
    async with spot.database.session() as session:
        return (await session.scalars(select(ApiKeyRow.id).where(ApiKeyRow.hash == digest(secret)))).one()


async def an_alert(spot: Spot) -> str:
    wanted = SpendAlertWrite(100, "USD", "month", NotificationChannel("email", ["secret@example.com"]))
    return (await SpendAlerts(spot.database).create(None, spot.in_project or None, wanted)).id


async def an_invite(spot: Spot) -> str:
    invite, _link = await Invites(spot.database).create(None, new_id("invited").lower() + "@example.com", "reader", [])
    return invite.id


async def a_session(spot: Spot) -> str:
    """The organization's owner's."""
    return await a_session_of(spot.database, await the_owner(spot.database))


async def a_webhook_endpoint(spot: Spot) -> str:
    row = WebhookEndpointRow(
        id=new_id("we_"),
        project_id=spot.project_id,
        name="secret",
        url=str(PLAIN_VALUES["url"]),
        event_types=PLAIN_VALUES["event_types"],
        secret="whsec_c2VjcmV0",  # not one that is in use
        created_at=1,
        updated_at=1,
    )
    async with spot.database.session() as session:
        session.add(row)
    return row.id


async def prepare(spot: Spot) -> None:
    """What a route takes away that its path doesn't name, and the password of the owner who changes it."""
    if spot.path.endswith("/spend_limit"):
        limit = SpendLimitUpdate(1_000_000, "USD", "month")
        await SpendLimits(spot.database, lambda: None).set(None, spot.in_project or None, limit)
    if spot.path.endswith("/password"):
        await Users(spot.database, Passwords()).set_password(None, await the_owner(spot.database), str(PLAIN_VALUES["current_password"]))


async def body_values(spot: Spot) -> dict[str, object]:
    """For fields of bodies by name: things that are there and free to be used, and names that nobody has."""
    user_id = await a_user(spot.database)
    group = await Groups(spot.database).create(None, new_id("group "))
    role = await Roles(spot.database).create(None, RoleCreation(new_id("role "), []), spot.in_project)
    fresh: dict[str, object] = {"name": new_id("name "), "role_name": new_id("role "), "permissions": [], "description": new_id("about ")}
    projects = [{"id": await a_project(spot.database), "role": "member"}]
    there = {"user_id": user_id, "group_id": group.id, "role_id": role.id, "projects": projects}
    plain = ("owner" if "{user_id}" in spot.path else "member") if spot.in_project else "reader"
    return {**PLAIN_VALUES, **fresh, **there, "role": plain, "email": new_id("somebody").lower() + "@example.com"}


MAKERS: dict[str, Maker] = {
    "project_id": a_project_id,
    "completion_id": a_completion,
    "group_id": a_group,
    "user_id": a_member,
    "role_id": a_role,
    "service_account_id": a_service_account_id,
    "api_key_id": a_project_key,
    "key_id": an_admin_key,
    "alert_id": an_alert,
    "invite_id": an_invite,
    "session_id": a_session,
    "webhook_endpoint_id": a_webhook_endpoint,
}
SHARED = {"model": "fake:chat", "engine": "fake:chat", "rate_limit_id": "rl-fake:chat"}
"""What every project sees, because it belongs to none: models that are installed, and that there is a limit for each."""


def maker_of(name: str, route: str) -> Maker:
    """Fails for what nobody makes."""
    if name not in MAKERS:
        raise AssertionError(
            f"Nobody knows how to make a '{{{name}}}' for {route}, so it isn't known whether strangers see it. Add a maker to MAKERS in "
            "tests/support/isolation/belongings.py: a function that makes one in the spot's project and gives its id. What all "
            "projects may see goes into SHARED."
        )
    return MAKERS[name]
