"""Projects' keys as the API shows them: with their owner, and whether the owner still is in the project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.membership import Membership
from openhearth.accounts.tables import ApiKeyRow, ProjectMemberRow, ServiceAccountRow, UserRow
from openhearth.wire.organization.project_api_keys import KeyOwner, OwnerServiceAccount, OwnerUser, ProjectKey

R = TypeVar("R", UserRow, ServiceAccountRow)


async def show_keys(
    session: AsyncSession, rows: Sequence[ApiKeyRow], membership: Membership, last_used: Mapping[str, int]
) -> list[ProjectKey]:
    """Keys of one project. `last_used`: what is known but not written down yet."""
    users = await _by_id(session, UserRow, {row.user_id for row in rows if row.user_id})
    accounts = await _by_id(session, ServiceAccountRow, {row.service_account_id for row in rows if row.service_account_id})
    wanted = select(ProjectMemberRow).where(
        ProjectMemberRow.project_id.in_({row.project_id for row in rows}), ProjectMemberRow.user_id.in_(users)
    )
    roles = {member.user_id: member.role for member in await session.scalars(wanted)}
    return [_shown(row, _owner(row, users, accounts, roles), membership, last_used) for row in rows]


def latest_use(row: ApiKeyRow, last_used: Mapping[str, int]) -> int | None:
    """Unix seconds; None: never."""
    return max(filter(None, (row.last_used_at, last_used.get(row.id))), default=None)


async def _by_id(session: AsyncSession, table: type[R], ids: Iterable[str]) -> dict[str, R]:
    return {row.id: row for row in await session.scalars(select(table).where(table.id.in_(ids)))}


def _owner(row: ApiKeyRow, users: Mapping[str, UserRow], accounts: Mapping[str, ServiceAccountRow], roles: Mapping[str, str]) -> KeyOwner:
    if account := accounts.get(row.service_account_id or ""):
        return KeyOwner("service_account", service_account=OwnerServiceAccount(account.id, account.name, account.role, account.created_at))
    if user := users.get(row.user_id or ""):
        role = roles.get(user.id, "owner" if user.role == "owner" else "none")
        return KeyOwner("user", OwnerUser(user.id, user.email, user.name, role, user.added_at))
    return KeyOwner("service_account" if row.service_account_id else "user")


def _shown(row: ApiKeyRow, owner: KeyOwner, membership: Membership, last_used: Mapping[str, int]) -> ProjectKey:
    return ProjectKey(
        id=row.id,
        name=row.name,
        redacted_value=row.prefix,
        created_at=row.created_at,
        last_used_at=latest_use(row, last_used),
        expires_at=row.expires_at,
        owner=owner,
        owner_project_access="active" if membership.takes_part(row) else "inactive",
        scopes=row.scopes,
    )
