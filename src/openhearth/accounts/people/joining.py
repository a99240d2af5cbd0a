"""How somebody becomes a user: a registration that was confirmed, an invite that was accepted, the owner's setup link.

An account is made when its address is proved, and its password is chosen then: nobody can prepare an account for another's address.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import DEFAULT_PROJECT, changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.people import letters
from openhearth.accounts.people.addresses import checked_email, checked_name, domain
from openhearth.accounts.people.links import look, new_link, revoke_links, use
from openhearth.accounts.people.passwords import Passwords, check_strength
from openhearth.accounts.people.sessions import LoggedIn, Visitor, as_visitor, begin_session
from openhearth.accounts.people.tables import InviteRow
from openhearth.accounts.people.throttle import Limits
from openhearth.accounts.principal import Principal
from openhearth.accounts.tables import ProjectMemberRow, ProjectRow, UserRow
from openhearth.errors import Conflict, InvalidRequest, PermissionDenied
from openhearth.mail.outbox import post
from openhearth.store.database import Database
from openhearth.wire.ids import new_id

DEFAULT_PROJECTS = ({"id": DEFAULT_PROJECT, "role": "member"},)
Registration = str | tuple[str, ...]


async def user_of(session: AsyncSession, email: str) -> UserRow | None:
    return (await session.scalars(select(UserRow).where(UserRow.email == email))).one_or_none()


async def add_user(
    session: AsyncSession,
    email: str,
    *,
    name: str = "",
    role: str = "reader",
    password_hash: str | None = None,
    subject: str | None = None,
    verified: bool = True,
) -> UserRow:
    """A new user, in no project yet."""
    now = int(time.time())
    user = UserRow(
        id="user-" + new_id("", 24),
        email=email,
        name=name or email.partition("@")[0],
        role=role,
        added_at=now,
        password_hash=password_hash,
        verified_at=now if verified else None,
        banned_at=None,
        subject=subject,
        details={},
    )
    session.add(user)
    await session.flush()
    await changed(session)
    return user


async def add_to_projects(session: AsyncSession, user: UserRow, projects: Iterable[dict[str, Any]]) -> None:
    """As a member or owner of those that still are there; whoever owns one already stays its owner."""
    for wanted in projects:
        project = await session.get(ProjectRow, wanted["id"])
        if project is None or project.archived_at is not None:
            continue
        member = await session.get(ProjectMemberRow, (project.id, user.id))
        if member is None:
            session.add(ProjectMemberRow(project_id=project.id, user_id=user.id, role=wanted["role"], added_at=int(time.time())))
        elif wanted["role"] == "owner":
            member.role = "owner"
    await session.flush()
    await changed(session)


async def accept_invite(session: AsyncSession, invite: InviteRow, user: UserRow) -> None:
    """Give what the invite promised. Raises PermissionDenied for a banned user."""
    if user.banned_at is not None:
        raise PermissionDenied("This account is locked. Ask an owner of this server.", code="account_locked")
    user.verified_at = user.verified_at or int(time.time())
    invite.accepted_at = int(time.time())
    if invite.role == "owner":
        user.role = "owner"
    await add_to_projects(session, user, invite.projects)


def record_user(session: AsyncSession, actor: Principal | None, user: UserRow) -> None:
    record(session, actor, "user.added", user.id, data={"role": user.role, "email": user.email})


class Joining:
    """By mail and link."""

    def __init__(self, database: Database, passwords: Passwords, limits: Limits, registration: Registration) -> None:
        self._database = database
        self._passwords = passwords
        self._limits = limits
        self._registration = registration if isinstance(registration, str) else tuple(name.lower() for name in registration)

    async def register(self, email: str, visitor: Visitor) -> None:
        """Ask for an account. The answer is the same whether there is one; the mail tells. Raises PermissionDenied, RateLimited."""
        address = checked_email(email)
        if self._registration == "closed":
            raise PermissionDenied("Registration is closed here. Ask an owner of this server for an invite.", code="registration_closed")
        if self._registration != "open" and domain(address) not in self._registration:
            raise PermissionDenied("Addresses of this domain can't register here. Ask an owner for an invite.", code="registration_closed")
        self._limits.mail(visitor.address, address)
        async with self._database.session() as session:
            user = await user_of(session, address)
            letter = letters.REGISTERED_ALREADY if user else letters.REGISTER
            link, expires_at = new_link(session, "reset" if user else "register", address, user.id if user else "")
            post(session, address, letter.subject, letter.text, link=link, expires_at=expires_at)

    async def verify(self, token: str, password: str, name: str, visitor: Visitor) -> LoggedIn:
        """Confirm a registration, choosing the password. Raises InvalidRequest, Conflict."""
        hashed = await self._hash_for(token, "register", password)
        async with self._database.session() as session:
            link = await use(session, token, "register")
            if await user_of(session, link.email) is not None:
                raise Conflict("This address has an account already. Log in, or ask for a new password.", code="already_registered")
            user = await add_user(session, link.email, name=checked_name(name), password_hash=hashed)
            await add_to_projects(session, user, DEFAULT_PROJECTS)
            record_user(session, await as_visitor(session, user, visitor), user)
            return await begin_session(session, user, visitor)

    async def accept(self, token: str, password: str | None, name: str, visitor: Visitor) -> LoggedIn:
        """Accept an invite. Who has an account keeps its password and needs none here. Raises InvalidRequest."""
        needs = await self.needs_password(token)
        if needs and password is None:
            raise InvalidRequest("Choose a password.", param="password", code="missing_required_parameter")
        hashed = await self._hash_for(token, "invite", password) if needs and password is not None else None
        async with self._database.session() as session:
            link = await use(session, token, "invite")
            invite = (await session.scalars(select(InviteRow).where(InviteRow.id == link.subject_id))).one()
            user = await user_of(session, link.email)
            actor = await as_visitor(session, user, visitor)
            if user is None:
                user = await add_user(session, link.email, name=checked_name(name), password_hash=hashed)
                actor = await as_visitor(session, user, visitor)
                record_user(session, actor, user)
            await accept_invite(session, invite, user)
            record(session, actor, "invite.accepted", invite.id)
            return await begin_session(session, user, visitor)

    async def needs_password(self, token: str) -> bool:
        """Whether accepting this invite makes an account. Raises InvalidRequest."""
        async with self._database.session() as session:
            link = await look(session, token, "invite")
            return await user_of(session, link.email) is None

    async def set_up(self, token: str, email: str, password: str, name: str, visitor: Visitor) -> LoggedIn:
        """The first owner chooses address and password. Raises InvalidRequest, Conflict."""
        address = checked_email(email)
        check_strength(password, address)
        async with self._database.session() as session:
            await look(session, token, "setup")
        hashed = await self._passwords.hash(password)
        async with self._database.session() as session:
            link = await use(session, token, "setup")
            other = await user_of(session, address)
            if other is not None and other.id != link.subject_id:
                raise Conflict("Another user has this address.", param="email", code="already_registered")
            user = (await session.scalars(select(UserRow).where(UserRow.id == link.subject_id))).one()
            before = {"email": user.email}
            user.email, user.password_hash, user.verified_at = address, hashed, int(time.time())
            user.name = checked_name(name) or user.name
            await changed(session)
            await revoke_links(session, user.id)
            actor = await as_visitor(session, user, visitor)
            record(session, actor, "user.updated", user.id, changes={"email": address}, before=before)
            return await begin_session(session, user, visitor)

    async def _hash_for(self, token: str, purpose: Any, password: str) -> str:
        """Checked and hashed before the link is used up, so that a weak password doesn't cost the link."""
        async with self._database.session() as session:
            link = await look(session, token, purpose)
        check_strength(password, link.email)
        return await self._passwords.hash(password)
