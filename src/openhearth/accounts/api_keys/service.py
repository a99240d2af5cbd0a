"""Projects' keys as those see them who manage a project: listed, changed, ended.

Expired ones are listed; revoked ones are gone. Knows no HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from msgspec import UNSET
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import AccessTable, changed
from openhearth.accounts.api_keys.making import end_key
from openhearth.accounts.api_keys.shown import show_keys
from openhearth.accounts.audit.record import record
from openhearth.accounts.permissions import ALL, OF_PROJECTS, check_names, expand
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project
from openhearth.accounts.roles.giving import check_giving
from openhearth.accounts.tables import ApiKeyRow
from openhearth.errors import InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.store.paging import page_after
from openhearth.wire.organization.lists import CursorQuery
from openhearth.wire.organization.project_api_keys import ProjectKey, ProjectKeysQuery, ProjectKeyUpdate

CHUNK = 200


class ProjectKeys:
    """The keys of all projects."""

    def __init__(self, database: Database, access: AccessTable) -> None:
        self._database = database
        self._access = access

    async def find(self, project_id: str, query: ProjectKeysQuery) -> list[ProjectKey]:
        """Oldest first, at most `limit + 1`. Raises NotFound, InvalidRequest for an archived project."""
        await self._access.refresh()
        takes_part, side = self._access.membership.takes_part, query.owner_project_access or "active"

        def wanted(row: ApiKeyRow) -> bool:
            return side == "any" or takes_part(row) == (side == "active")

        return await self._found(project_id, ApiKeyRow.project_id == project_id, query, wanted)

    async def find_of_user(self, project_id: str, user_id: str, query: CursorQuery) -> list[ProjectKey]:
        """A user's own, the same way."""
        await self._access.refresh()
        mine = (ApiKeyRow.project_id == project_id) & (ApiKeyRow.user_id == user_id)
        return await self._found(project_id, mine, query, lambda _row: True)

    async def get(self, project_id: str, key_id: str) -> ProjectKey:
        """Raises NotFound."""
        await self._access.refresh()
        async with self._database.session() as session:
            return await self._shown(session, await _key(session, project_id, key_id))

    async def update(self, actor: Principal | None, project_id: str, key_id: str, wanted: ProjectKeyUpdate) -> ProjectKey:
        """Other scopes, another end. Holds at once. Raises NotFound, InvalidRequest for an expired key or unknown scopes, PermissionDenied
        where the key would come to do what the actor can't."""
        now = int(time.time())
        await self._access.refresh()
        async with self._database.session() as session:
            row = await _key(session, project_id, key_id)
            if row.expires_at is not None and row.expires_at <= now:
                raise InvalidRequest("This key has expired and can't be changed any more. Make a new one.", param="api_key_id")
            before: dict[str, Any] = {"scopes": row.scopes or [ALL], "expires_at": row.expires_at}
            changes: dict[str, Any] = {}
            if wanted.scopes is not UNSET:
                row.scopes = check_names(wanted.scopes, "scopes", OF_PROJECTS) or None
                owner_may = self._access.membership.of_key(row) & OF_PROJECTS
                check_giving(actor, owner_may & _allowed(row.scopes) - _allowed(before["scopes"]), project_id, "scopes")
                changes["scopes"] = row.scopes or [ALL]
            if wanted.expires_in_seconds is not UNSET:
                row.expires_at = now + wanted.expires_in_seconds
                changes["expires_in_seconds"] = wanted.expires_in_seconds
            if changes:
                record(session, actor, "api_key.updated", row.id, changes=changes, before=before, project_id=project_id)
                await changed(session)
        await self._access.refresh()
        async with self._database.session() as session:
            return await self._shown(session, row)

    async def delete(self, actor: Principal | None, project_id: str, key_id: str, *, of_user: str | None = None) -> None:
        """Revoked at once. With `of_user` only that user's. Raises NotFound, InvalidRequest for an archived project."""
        which = [ApiKeyRow.project_id == project_id, ApiKeyRow.id == key_id]
        which += [] if of_user is None else [ApiKeyRow.user_id == of_user]
        async with self._database.session() as session:
            await active_project(session, project_id)
            if await end_key(session, actor, *which) is None:
                raise _not_there(key_id)

    async def _found(self, project_id: str, which: Any, query: CursorQuery, wanted: Callable[[ApiKeyRow], bool]) -> list[ProjectKey]:
        async with self._database.session() as session:
            await active_project(session, project_id)
            place = await _place(session, which, query.after)
            rows: list[ApiKeyRow] = []
            keys = select(ApiKeyRow).where(which, ApiKeyRow.revoked_at.is_(None))
            while len(rows) <= query.limit:
                some = list(await session.scalars(page_after(keys, ApiKeyRow.created_at, ApiKeyRow.id, place, CHUNK)))
                rows += filter(wanted, some)
                if len(some) <= CHUNK:
                    break
                place = some[-1].created_at, some[-1].id
            return await show_keys(session, rows[: query.limit + 1], self._access.membership, self._access.last_used)

    async def _shown(self, session: AsyncSession, row: ApiKeyRow) -> ProjectKey:
        return (await show_keys(session, [row], self._access.membership, self._access.last_used))[0]


def _allowed(scopes: list[str] | None) -> frozenset[str]:
    return expand([ALL] if scopes is None else scopes)


async def _place(session: AsyncSession, which: Any, key_id: str | None) -> tuple[int, str] | None:
    """Also where a key was that is revoked by now: a walk through the pages doesn't break off there."""
    if key_id is None:
        return None
    row = await session.scalar(select(ApiKeyRow).where(which, ApiKeyRow.id == key_id))
    if row is None:
        raise _not_there(key_id, "after")
    return row.created_at, row.id


async def _key(session: AsyncSession, project_id: str, key_id: str) -> ApiKeyRow:
    await active_project(session, project_id)
    row = await session.scalar(
        select(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.project_id == project_id, ApiKeyRow.revoked_at.is_(None))
    )
    if row is None:
        raise _not_there(key_id)
    return row


def _not_there(key_id: str, param: str = "api_key_id") -> NotFound:
    return NotFound(f"No API key '{key_id[:100]}' in this project.", param=param)
