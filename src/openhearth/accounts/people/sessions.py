"""Sessions of browsers: begun by a login with a new token each time, known by its SHA-256, ended by idleness, age, or their user.

Each request with a cookie looks into the database, so an ended session counts no more at once, in every process.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Scope

from openhearth.accounts.access import AccessTable, digest
from openhearth.accounts.organization.founding import organization_id
from openhearth.accounts.people.public_address import PublicAddress
from openhearth.accounts.people.same_origin import check_session_request
from openhearth.accounts.people.tables import SessionRow
from openhearth.accounts.principal import Access, Principal
from openhearth.accounts.tables import UserRow
from openhearth.errors import AuthenticationFailed, NotFound
from openhearth.store.database import Database
from openhearth.wire.ids import new_id

IDLE_S = 7 * 86400
LONGEST_S = 30 * 86400
TOUCH_S = 60
"""How exactly the last use is kept: a write for each request would be too much."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser or program that wants to log in."""

    address: str | None = None
    user_agent: str | None = None
    old_token: str | None = None
    """Of the session that it comes with, which ends."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """`token` goes into the cookie, and is nowhere else."""

    token: str
    user: UserRow


async def begin_session(session: AsyncSession, user: UserRow, visitor: Visitor) -> LoggedIn:
    """A new session with a new token; the old one of this browser is over."""
    if visitor.old_token:
        await session.execute(delete(SessionRow).where(SessionRow.hash == digest(visitor.old_token)))
    token, now = secrets.token_urlsafe(32), int(time.time())
    session.add(
        SessionRow(
            id=new_id("sess_", 24),
            hash=digest(token),
            user_id=user.id,
            created_at=now,
            last_used_at=now,
            expires_at=now + LONGEST_S,
            address=visitor.address,
            user_agent=visitor.user_agent,
        )
    )
    return LoggedIn(token, user)


async def end_session(session: AsyncSession, user_id: str, session_id: str) -> None:
    """Raises NotFound for one that isn't this user's."""
    wanted = delete(SessionRow).where(SessionRow.id == session_id, SessionRow.user_id == user_id)
    if getattr(await session.execute(wanted), "rowcount", 0) != 1:
        raise NotFound(f"No session '{session_id[:100]}'.", param="session_id")


async def end_sessions(session: AsyncSession, user_id: str) -> None:
    """All of a user."""
    await session.execute(delete(SessionRow).where(SessionRow.user_id == user_id))


async def as_visitor(session: AsyncSession, user: UserRow | None, visitor: Visitor) -> Principal:
    """Who acts, for the audit log, before there is a session. None: somebody unknown."""
    shown = {"id": user.id, "email": user.email} if user else {"id": "unknown"}
    actor = {"type": "session", "session": {"user": shown}}
    access = Access("session", "", shown["id"], await organization_id(session), None, frozenset(), {}, actor=actor)
    return Principal(access, "", visitor.address, visitor.user_agent)


class Sessions:
    """The guard's view of them (`accounts.guard.Sessions`), and what people do with their own."""

    def __init__(self, database: Database, access: AccessTable, address: PublicAddress) -> None:
        self._database = database
        self._access = access
        self._address = address

    async def check(self, token: str, scope: Scope) -> Access:
        """Raises AuthenticationFailed, and PermissionDenied for requests that another site may have made."""
        check_session_request(scope, self._address.url)
        row, organization = await self._in_force(token)
        await self._access.refresh()
        membership = self._access.membership
        if row is None or row.user_id not in membership.users:
            raise AuthenticationFailed("Your session has ended. Log in again.", code="session_ended")
        return Access(
            "session",
            row.id,
            row.user_id,
            organization,
            None,
            membership.in_organization(row.user_id),
            membership.projects.get(row.user_id, {}),
            row.expires_at,
            {"type": "session", "session": {"user": {"id": row.user_id, "email": membership.users[row.user_id]}}},
        )

    async def _in_force(self, token: str) -> tuple[SessionRow | None, str]:
        now = int(time.time())
        wanted = select(SessionRow).where(SessionRow.hash == digest(token), SessionRow.expires_at > now)
        async with self._database.session() as session:
            row = await session.scalar(wanted.where(SessionRow.last_used_at > now - IDLE_S))
            if row is not None and row.last_used_at < now - TOUCH_S:
                await session.execute(update(SessionRow).where(SessionRow.id == row.id).values(last_used_at=now))
            return row, await organization_id(session)

    async def list(self, user_id: str) -> Sequence[SessionRow]:
        """Those in force, newest first."""
        now = int(time.time())
        wanted = select(SessionRow).where(
            SessionRow.user_id == user_id, SessionRow.expires_at > now, SessionRow.last_used_at > now - IDLE_S
        )
        async with self._database.session() as session:
            return list(await session.scalars(wanted.order_by(SessionRow.created_at.desc(), SessionRow.id)))

    async def forget_ended(self) -> None:
        """Delete those that count no more."""
        now = int(time.time())
        ended = (SessionRow.expires_at <= now) | (SessionRow.last_used_at <= now - IDLE_S)
        async with self._database.session() as session:
            await session.execute(delete(SessionRow).where(ended))
