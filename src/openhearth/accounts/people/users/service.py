"""Finding, changing and removing users. There always is an owner, and only who has all of an owner's rights makes or unmakes owners."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.people.addresses import checked_email, checked_name, known_form
from openhearth.accounts.people.joining import DEFAULT_PROJECTS, add_to_projects, add_user, record_user, user_of
from openhearth.accounts.people.links import revoke_links
from openhearth.accounts.people.login import set_password
from openhearth.accounts.people.passwords import Passwords, check_strength
from openhearth.accounts.people.tables import InviteRow
from openhearth.accounts.people.users.roles import check_may_grant, check_role, give_role
from openhearth.accounts.permissions import ORGANIZATION_ROLES
from openhearth.accounts.principal import Principal
from openhearth.accounts.roles.assignments import Place, take_all
from openhearth.accounts.roles.giving import check_taking
from openhearth.accounts.tables import ApiKeyRow, ProjectMemberRow, ProjectRow, UserRow
from openhearth.errors import Conflict, NotFound
from openhearth.store.database import Database
from openhearth.wire.organization.users import UserChanges, UsersQuery

Projects = Sequence[tuple[str, str, str]]
"""Id, name, role."""


class Users:
    """The organization's."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def find(self, query: UsersQuery) -> list[UserRow]:
        """In order of coming, at most `limit + 1`. Raises NotFound for an `after` that isn't there."""
        place = tuple_(UserRow.added_at, UserRow.id)
        wanted = select(UserRow).order_by(UserRow.added_at, UserRow.id).limit(query.limit + 1)
        if query.wanted_emails is not None:
            wanted = wanted.where(UserRow.email.in_([known_form(email) or "" for email in query.wanted_emails]))
        async with self._database.session() as session:
            if query.after is not None:
                after = await _user(session, query.after, "after")
                wanted = wanted.where(place > tuple_(after.added_at, after.id))
            return list(await session.scalars(wanted))

    async def get(self, user_id: str) -> UserRow:
        """Raises NotFound."""
        async with self._database.session() as session:
            return await _user(session, user_id)

    async def by_name(self, id_or_email: str) -> UserRow:
        """For the command line. Raises NotFound."""
        async with self._database.session() as session:
            user = await session.get(UserRow, id_or_email) or await user_of(session, known_form(id_or_email) or "")
        if user is None:
            raise NotFound(f"No user '{id_or_email[:100]}'; `openhearth users list` shows them.")
        return user

    async def last_uses(self, users: Sequence[UserRow]) -> dict[str, int]:
        """When a key of theirs was last used."""
        used = select(ApiKeyRow.user_id, func.max(ApiKeyRow.last_used_at)).where(ApiKeyRow.user_id.in_([user.id for user in users]))
        async with self._database.session() as session:
            return {user_id: at for user_id, at in await session.execute(used.group_by(ApiKeyRow.user_id)) if user_id and at is not None}

    async def projects(self, user_id: str) -> Projects:
        """Those that it is a member of and that aren't archived."""
        joined = select(ProjectRow.id, ProjectRow.name, ProjectMemberRow.role).join(
            ProjectMemberRow, ProjectMemberRow.project_id == ProjectRow.id
        )
        wanted = joined.where(ProjectMemberRow.user_id == user_id, ProjectRow.archived_at.is_(None)).order_by(ProjectRow.id)
        async with self._database.session() as session:
            return [(project_id, name, role) for project_id, name, role in await session.execute(wanted)]

    async def create(
        self, actor: Principal | None, email: str, *, name: str = "", role: str = "reader", password: str | None = None
    ) -> UserRow:
        """Without an invite, at the machine: the address counts as proved. Raises Conflict, InvalidRequest."""
        address, role = checked_email(email), check_role(role)
        hashed = None
        if password is not None:
            check_strength(password, address)
            hashed = await self._passwords.hash(password)
        async with self._database.session() as session:
            check_may_grant(actor, role)
            if await user_of(session, address) is not None:
                raise Conflict("There is a user with this address already.", param="email")
            user = await add_user(session, address, name=checked_name(name), role=role, password_hash=hashed)
            await add_to_projects(session, user, DEFAULT_PROJECTS)
            record_user(session, actor, user)
        return user

    async def change(self, actor: Principal | None, user_id: str, changes: UserChanges) -> UserRow:
        """Role and details. Raises NotFound, InvalidRequest, PermissionDenied, and Conflict for the last owner."""
        async with self._database.session() as session:
            # First, so that of two who demote each other the second sees what the first did.
            await changed(session)
            user = await _user(session, user_id)
            before: dict[str, Any] = {"role": user.role}
            if changes.role is not None or changes.role_id is not None:
                await give_role(session, actor, user, changes.role, changes.role_id)
            if before["role"] == "owner" and user.role != "owner":
                await _check_owner_left(session, user)
                await _end_invites(session, InviteRow.invited_by == user.id)
            told = {name: value for name, value in changes.details().items() if value is not None}
            user.details = {**user.details, **told}
            asked = {"role": changes.role, "role_id": changes.role_id, **told}
            record(session, actor, "user.updated", user.id, changes={k: v for k, v in asked.items() if v is not None}, before=before)
        return user

    async def remove(self, actor: Principal | None, user_id: str) -> None:
        """Sessions, keys, roles and links end with this. Raises NotFound, PermissionDenied, and Conflict for the last owner."""
        async with self._database.session() as session:
            await changed(session)
            user = await _user(session, user_id)
            if user.role == "owner":
                check_taking(actor, ORGANIZATION_ROLES["owner"], "")
                await _check_owner_left(session, user)
            now = int(time.time())
            keys = update(ApiKeyRow).where(ApiKeyRow.user_id == user.id, ApiKeyRow.revoked_at.is_(None))
            await session.execute(keys.values(revoked_at=now))
            await take_all(session, actor, Place("user", user.id), everywhere=True)
            await _end_invites(session, (InviteRow.email == user.email) | (InviteRow.invited_by == user.id))
            await revoke_links(session, user.id)
            record(session, actor, "user.deleted", user.id, before={"email": user.email, "role": user.role})
            await session.delete(user)

    async def not_set_up(self) -> UserRow | None:
        """The first owner, as long as no owner can log in."""
        owners = select(UserRow).where(UserRow.role == "owner", UserRow.banned_at.is_(None)).order_by(UserRow.added_at, UserRow.id)
        async with self._database.session() as session:
            found = list(await session.scalars(owners))
        return None if not found or any(owner.verified_at is not None for owner in found) else found[0]

    async def ensure_owner_password(self, password: str) -> None:
        """The first owner's, of an unattended start; what an owner set by themselves stays. Raises InvalidRequest."""
        owner = await self.not_set_up()
        if owner is not None:
            await self.set_password(None, owner.id, password)

    async def set_password(self, actor: Principal | None, user_id: str, password: str) -> None:
        """At the machine. Sessions end. Raises NotFound, InvalidRequest."""
        user = await self.get(user_id)
        check_strength(password, user.email)
        hashed = await self._passwords.hash(password)
        async with self._database.session() as session:
            await set_password(session, await _user(session, user_id), hashed)
            await changed(session)
            record(session, actor, "user.updated", user_id, changes={"password": "set"})


async def _user(session: AsyncSession, user_id: str, param: str = "user_id") -> UserRow:
    user = await session.get(UserRow, user_id)
    if user is None:
        raise NotFound(f"No user '{user_id[:100]}'.", param=param)
    return user


async def _check_owner_left(session: AsyncSession, leaving: UserRow) -> None:
    others = select(func.count()).select_from(UserRow).where(UserRow.role == "owner", UserRow.banned_at.is_(None), UserRow.id != leaving.id)
    if not await session.scalar(others):
        raise Conflict("This is the organization's last owner. Make somebody else an owner first.", code="last_owner")


async def _end_invites(session: AsyncSession, which: ColumnElement[bool]) -> None:
    """Who may no longer invite leaves no invite behind."""
    open_ones = select(InviteRow).where(which, InviteRow.accepted_at.is_(None), InviteRow.deleted_at.is_(None))
    for invite in await session.scalars(open_ones):
        invite.deleted_at = int(time.time())
        await revoke_links(session, invite.id)
