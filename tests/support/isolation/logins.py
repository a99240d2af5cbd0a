"""Logins for the walk: a real session in the database for each request, so that what ended one doesn't end the walk."""

from __future__ import annotations

from sqlalchemy import select

from openhearth.accounts.guard import COOKIE
from openhearth.accounts.people.sessions import Visitor, begin_session
from openhearth.accounts.people.tables import SessionRow
from openhearth.accounts.tables import UserRow
from openhearth.store.database import Database


async def log_in(database: Database, user_id: str) -> dict[str, str]:
    """What a browser of this user sends from the server's own pages; nothing for one who is gone."""
    async with database.session() as session:
        user = (await session.scalars(select(UserRow).where(UserRow.id == user_id))).one_or_none()
        if user is None:
            return {}
        made = await begin_session(session, user, Visitor("192.0.2.1", "a browser"))
    return {"cookie": f"{COOKIE}={made.token}", "sec-fetch-site": "same-origin"}


async def a_session_of(database: Database, user_id: str) -> str:
    """A new session's id."""
    await log_in(database, user_id)
    newest = select(SessionRow.id).where(SessionRow.user_id == user_id).order_by(SessionRow.created_at.desc(), SessionRow.id.desc())
    async with database.session() as session:
        return (await session.scalars(newest.limit(1))).one()
