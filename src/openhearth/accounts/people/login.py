"""Login with address and password, and what people do with their own password.

Which part of a login was wrong isn't told, nor shown by how long it takes.
"""

from __future__ import annotations

import time

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.audit.record import record
from openhearth.accounts.people import letters
from openhearth.accounts.people.addresses import checked_email, known_form
from openhearth.accounts.people.joining import user_of
from openhearth.accounts.people.links import look, new_link, revoke_links, use
from openhearth.accounts.people.passwords import Passwords, check_strength
from openhearth.accounts.people.sessions import LoggedIn, Visitor, as_visitor, begin_session, end_sessions
from openhearth.accounts.people.throttle import Limits
from openhearth.accounts.principal import Principal
from openhearth.accounts.tables import UserRow
from openhearth.errors import AuthenticationFailed, InvalidRequest
from openhearth.mail.outbox import post, post_nothing
from openhearth.store.database import Database


class Login:
    """By password."""

    def __init__(self, database: Database, passwords: Passwords, limits: Limits) -> None:
        self._database = database
        self._passwords = passwords
        self._limits = limits

    async def log_in(self, email: str, password: str, visitor: Visitor) -> LoggedIn:
        """Raises AuthenticationFailed, RateLimited."""
        address = known_form(email) or ""
        self._limits.login(visitor.address, address)
        async with self._database.session() as session:
            user = await user_of(session, address)
        allowed = user is not None and user.verified_at is not None and user.banned_at is None
        right = await self._passwords.verify(user.password_hash if user is not None and allowed else None, password)
        if user is None or not right:
            await self._record_failure(user, visitor)
            raise _wrong()
        self._limits.logged_in(visitor.address, address)
        fresh = await self._passwords.hash(password) if self._passwords.outdated(user.password_hash or "") else None
        async with self._database.session() as session:
            # Somebody may have removed the user, or changed the password, meanwhile.
            now = await session.get(UserRow, user.id)
            if now is None or now.banned_at is not None or now.password_hash != user.password_hash:
                raise _wrong()
            now.password_hash = fresh or now.password_hash
            record(session, await as_visitor(session, now, visitor), "login.succeeded", now.id)
            return await begin_session(session, now, visitor)

    async def _record_failure(self, user: UserRow | None, visitor: Visitor) -> None:
        async with self._database.session() as session:
            record(session, await as_visitor(session, user, visitor), "login.failed", user.id if user else "unknown")

    async def request_reset(self, email: str, visitor: Visitor) -> None:
        """Send a link for a new password, if there is such a user; the answer and the work are the same if not. Raises RateLimited."""
        address = checked_email(email)
        self._limits.mail(visitor.address, address)
        async with self._database.session() as session:
            user = await user_of(session, address)
            known = user is not None and user.banned_at is None and user.verified_at is not None
            link, expires_at = new_link(session, "reset" if known else "nothing", address, user.id if known and user else "")
            sending = post if known else post_nothing
            sending(session, address, letters.RESET.subject, letters.RESET.text, link=link, expires_at=expires_at)

    async def reset(self, token: str, password: str, visitor: Visitor) -> None:
        """Set the new password; all sessions and other reset links end. Raises InvalidRequest."""
        async with self._database.session() as session:
            link = await look(session, token, "reset")
        check_strength(password, link.email)
        hashed = await self._passwords.hash(password)
        async with self._database.session() as session:
            user_id = (await use(session, token, "reset")).subject_id
            user = (await session.scalars(select(UserRow).where(UserRow.id == user_id))).one()
            await set_password(session, user, hashed)
            record(session, await as_visitor(session, user, visitor), "user.updated", user.id, changes={"password": "reset"})

    async def change(self, principal: Principal, current: str, new: str, visitor: Visitor) -> LoggedIn:
        """Choose another password, knowing the one there was; all other sessions end. Raises InvalidRequest, RateLimited."""
        async with self._database.session() as session:
            user = (await session.scalars(select(UserRow).where(UserRow.id == principal.owner_id))).one()
        self._limits.login(visitor.address, user.email)
        if not await self._passwords.verify(user.password_hash, current):
            raise InvalidRequest("The current password is wrong.", param="current_password", code="invalid_credentials")
        check_strength(new, user.email, "new_password")
        hashed = await self._passwords.hash(new)
        async with self._database.session() as session:
            user = (await session.scalars(select(UserRow).where(UserRow.id == principal.owner_id))).one()
            await set_password(session, user, hashed)
            record(session, principal, "user.updated", user.id, changes={"password": "changed"})
            return await begin_session(session, user, visitor)


async def set_password(session: AsyncSession, user: UserRow, hashed: str) -> None:
    """Whoever was logged in with the old one is logged out, and links for another are dead."""
    user.password_hash = hashed
    user.verified_at = user.verified_at or int(time.time())
    await end_sessions(session, user.id)
    await revoke_links(session, user.id)


def _wrong() -> AuthenticationFailed:
    return AuthenticationFailed("Wrong e-mail address or password.", code="invalid_credentials")
