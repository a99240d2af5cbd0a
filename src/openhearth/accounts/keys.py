"""Keys as the owner at the machine handles them: at an unattended start, and through `openhearth keys`. Knows no HTTP.

What a key may do is worked out in `access`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import DEFAULT_PROJECT, MINIMUM_LENGTH, digest
from openhearth.accounts.api_keys.making import GRANTABLE_TO_ADMIN_KEYS, end_key, make_key
from openhearth.accounts.organization.founding import owner_of
from openhearth.accounts.permissions import OF_PROJECTS
from openhearth.accounts.projects.rows import active_project
from openhearth.accounts.tables import ApiKeyRow, ServiceAccountRow, UserRow
from openhearth.errors import InvalidRequest, NotFound, SetupError
from openhearth.store.database import Database


@dataclass(frozen=True, slots=True)
class KeyLine:
    """A key, and whose it is: an e-mail address or a service account's name."""

    row: ApiKeyRow
    owner: str


class Keys:
    """The keys of one installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        name: str,
        *,
        project_id: str | None = DEFAULT_PROJECT,
        service_account: str | None = None,
        scopes: Sequence[str] | None = None,
        lifetime_s: int | None = None,
        key: str | None = None,
    ) -> tuple[str, ApiKeyRow]:
        """A key of the organization's owner, or of a service account of that id or name. Without a project: an admin key.

        Raises NotFound, InvalidRequest.
        """
        if key is not None:
            _check_given(key)
        async with self._database.session() as session:
            if project_id is not None:
                await active_project(session, project_id)
            account = None if service_account is None else await _account(session, project_id, service_account)
            return await make_key(
                session,
                None,
                name,
                project_id=project_id,
                user_id=None if account else await owner_of(session),
                service_account_id=account,
                scopes=scopes,
                grantable=GRANTABLE_TO_ADMIN_KEYS if project_id is None else OF_PROJECTS,
                lifetime_s=lifetime_s,
                secret=key,
            )

    async def ensure(self, key: str, *, project_id: str | None = DEFAULT_PROJECT) -> None:
        """The key of an unattended start: known afterwards, whether it was before or not. A revoked one stays revoked."""
        _check_given(key)
        async with self._database.session() as session:
            known = await session.scalar(select(ApiKeyRow.id).where(ApiKeyRow.hash == digest(key)))
        if known is None:
            with suppress(IntegrityError):  # another process was quicker
                await self.create("from the environment", project_id=project_id, key=key)

    async def lines(self, *, revoked: bool = False, project_id: str | None = None) -> list[KeyLine]:
        """The keys that aren't revoked, oldest first, and whose they are; with `revoked` also the others."""
        query = select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id)
        if not revoked:
            query = query.where(ApiKeyRow.revoked_at.is_(None))
        if project_id is not None:
            query = query.where(ApiKeyRow.project_id == project_id)
        async with self._database.session() as session:
            names = {user.id: user.email for user in await session.scalars(select(UserRow))}
            names |= {account.id: account.name for account in await session.scalars(select(ServiceAccountRow))}
            return [KeyLine(row, names.get(row.user_id or row.service_account_id or "", "-")) for row in await session.scalars(query)]

    async def list(self, *, revoked: bool = False, project_id: str | None = None) -> list[ApiKeyRow]:
        """The same, without their owners."""
        return [line.row for line in await self.lines(revoked=revoked, project_id=project_id)]

    async def revoke(self, id_or_prefix: str) -> ApiKeyRow:
        """Revoke by id, or by the displayed prefix if only one key has it. Raises NotFound."""
        async with self._database.session() as session:
            same = (ApiKeyRow.id == id_or_prefix) | (ApiKeyRow.prefix == id_or_prefix)
            found = list(await session.scalars(select(ApiKeyRow.id).where(same, ApiKeyRow.revoked_at.is_(None))))
            row = await end_key(session, None, ApiKeyRow.id == found[0]) if len(found) == 1 else None
            if row is None:
                raise NotFound(f"No single key in force is called '{id_or_prefix}'; `openhearth keys list` shows their ids.")
        return row


async def _account(session: AsyncSession, project_id: str | None, id_or_name: str) -> str:
    row = ServiceAccountRow
    same = select(row.id).where(row.project_id == project_id, (row.id == id_or_name) | (row.name == id_or_name))
    found = list(await session.scalars(same.limit(2)))
    if not found:
        raise NotFound(f"No service account '{id_or_name[:100]}' in this project.")
    if len(found) > 1:
        raise InvalidRequest(f"Several service accounts are called '{id_or_name[:100]}'; say which by its id.")
    return found[0]


def _check_given(key: str) -> None:
    if len(key) < MINIMUM_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        raise SetupError(f"A key must have at least {MINIMUM_LENGTH} printable ASCII characters without spaces.")
