"""Admin keys: they manage the organization, for their owner, and do nothing else. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import AccessTable
from openhearth.accounts.api_keys.making import GRANTABLE_TO_ADMIN_KEYS, end_key, make_key
from openhearth.accounts.api_keys.shown import latest_use
from openhearth.accounts.organization.founding import owner_of
from openhearth.accounts.permissions import expand
from openhearth.accounts.principal import Principal
from openhearth.accounts.tables import ApiKeyRow, UserRow
from openhearth.errors import NotFound, PermissionDenied
from openhearth.store.database import Database
from openhearth.store.paging import page_after
from openhearth.wire.organization.admin_api_keys import AdminKey, AdminKeyCreate, AdminKeyOwner, AdminKeysQuery

Row = ApiKeyRow
IN_FORCE: tuple[ColumnElement[bool], ...] = (Row.project_id.is_(None), Row.revoked_at.is_(None))


class AdminKeys:
    """All admin keys."""

    def __init__(self, database: Database, access: AccessTable) -> None:
        self._database = database
        self._access = access

    async def create(self, actor: Principal | None, wanted: AdminKeyCreate) -> AdminKey:
        """A key of the actor's own account, shown this once. Raises InvalidRequest, PermissionDenied for more than the actor's key may."""
        async with self._database.session() as session:
            scopes = await _within_own(session, actor, wanted.scopes)
            user = await session.get(UserRow, actor.owner_id) if actor else None
            secret, row = await make_key(
                session,
                actor,
                wanted.name,
                project_id=None,
                user_id=user.id if user else await owner_of(session),
                scopes=scopes,
                grantable=GRANTABLE_TO_ADMIN_KEYS,
                lifetime_s=wanted.expires_in_seconds,
            )
            return await self._shown(session, row, secret)

    async def find(self, query: AdminKeysQuery) -> list[AdminKey]:
        """In order of time, at most `limit + 1`. Raises NotFound for an `after` that isn't there."""
        async with self._database.session() as session:
            place = None
            if query.after is not None:
                after = await session.scalar(select(Row).where(Row.project_id.is_(None), Row.id == query.after))
                if after is None:
                    raise _not_there(query.after, "after")
                place = after.created_at, after.id
            wanted = page_after(select(Row).where(*IN_FORCE), Row.created_at, Row.id, place, query.limit, descending=query.order == "desc")
            rows = list(await session.scalars(wanted))
            users = await _owners(session, rows)
            return [_described(row, users, self._access.last_used) for row in rows]

    async def get(self, key_id: str) -> AdminKey:
        """Raises NotFound."""
        async with self._database.session() as session:
            row = await session.scalar(select(Row).where(Row.id == key_id, *IN_FORCE))
            if row is None:
                raise _not_there(key_id)
            return await self._shown(session, row)

    async def delete(self, actor: Principal | None, key_id: str) -> None:
        """Revoked at once. Raises NotFound."""
        async with self._database.session() as session:
            if await end_key(session, actor, Row.project_id.is_(None), Row.id == key_id) is None:
                raise _not_there(key_id)

    async def _shown(self, session: AsyncSession, row: ApiKeyRow, secret: str | None = None) -> AdminKey:
        return _described(row, await _owners(session, [row]), self._access.last_used, secret)


async def _within_own(session: AsyncSession, actor: Principal | None, wanted: Sequence[str] | None) -> Sequence[str] | None:
    """A restricted key can't make one that may more; without scopes the new one is restricted as it is."""
    row = await session.get(Row, actor.key_id) if actor else None
    if row is None or row.scopes is None:
        return wanted
    if wanted is not None and not expand(wanted) & GRANTABLE_TO_ADMIN_KEYS <= expand(row.scopes):
        raise PermissionDenied(
            "The key that you're using is restricted, and can't make one with more permissions.",
            param="scopes",
            code="permission_escalation",
        )
    return wanted or row.scopes


async def _owners(session: AsyncSession, rows: Sequence[ApiKeyRow]) -> Mapping[str, UserRow]:
    wanted = select(UserRow).where(UserRow.id.in_({row.user_id for row in rows}))
    return {user.id: user for user in await session.scalars(wanted)}


def _not_there(key_id: str, param: str = "key_id") -> NotFound:
    return NotFound(f"No admin API key '{key_id[:100]}'.", param=param)


def _described(row: ApiKeyRow, users: Mapping[str, UserRow], last_used: Mapping[str, int], secret: str | None = None) -> AdminKey:
    user = users.get(row.user_id or "")
    owner = AdminKeyOwner(user.id, user.name, user.added_at, user.role) if user else AdminKeyOwner(row.user_id or "", "", 0, "none")
    used = latest_use(row, last_used)
    return AdminKey(row.id, row.name, row.prefix, row.created_at, row.expires_at, used, owner, row.scopes, secret or UNSET)
