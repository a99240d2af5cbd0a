"""People and principals for tests: users put into the database, and senders with given permissions."""

from __future__ import annotations

import time
from collections.abc import Iterable

from sqlalchemy import select

from openhearth.accounts.access import changed
from openhearth.accounts.membership import read_membership
from openhearth.accounts.permissions import expand
from openhearth.accounts.principal import Access, Principal
from openhearth.accounts.tables import UserRow
from openhearth.store.database import Database
from openhearth.wire.ids import new_id


async def add_user(database: Database, email: str, role: str = "reader") -> str:
    """A user who could log in; the id."""
    user_id = new_id("user-", 24)
    async with database.session() as session:
        session.add(UserRow(id=user_id, email=email, name=email.split("@")[0], role=role, added_at=int(time.time()), details={}))
        await changed(session)
    return user_id


async def first_owner(database: Database) -> str:
    async with database.session() as session:
        return (await session.scalars(select(UserRow.id).where(UserRow.role == "owner"))).one()


async def logged_in(database: Database, user_id: str, project_id: str = "proj_default") -> Principal:
    """What a session of this user is now."""
    async with database.session() as session:
        membership = await read_membership(session)
    actor = {"type": "session", "session": {"user": {"id": user_id, "email": membership.users[user_id]}}}
    given = membership.projects.get(user_id, {})
    access = Access("session", "session_1", user_id, "org-test", None, membership.in_organization(user_id), given, actor=actor)
    return Principal(access, project_id)


def holding(permissions: Iterable[str], *, owner_id: str = "user-nobody", key_id: str = "key_none") -> Principal:
    """An admin key with these permissions."""
    actor = {"type": "api_key", "api_key": {"id": key_id, "type": "user", "user": {"id": owner_id}}}
    return Principal(Access("admin", key_id, owner_id, "org-test", None, expand(permissions), {}, actor=actor), "")
