"""API keys: made, listed, changed, revoked. What a key may do is worked out in `access`; routes and the command line come here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import DEFAULT_PROJECT, MINIMUM_LENGTH, changed, digest
from openhearth.accounts.organization.founding import owner_of
from openhearth.accounts.tables import ApiKeyRow
from openhearth.errors import Conflict, NotFound, SetupError
from openhearth.store.database import Database
from openhearth.wire.ids import new_id

SECRET_BYTES = 36


async def add_key(
    session: AsyncSession,
    name: str,
    *,
    project_id: str | None,
    user_id: str | None = None,
    service_account_id: str | None = None,
    scopes: Sequence[str] | None = None,
    expires_at: int | None = None,
    secret: str | None = None,
) -> tuple[str, ApiKeyRow]:
    """A new key (or the given one) and its row. The key itself is not kept and can't be shown again. Without a project: an admin key."""
    kind = "admin" if project_id is None else "svcacct" if service_account_id else "proj"
    secret = secret or f"sk-{kind}-" + secrets.token_urlsafe(SECRET_BYTES)
    row = ApiKeyRow(
        id=new_id("key_", 24),
        name=name,
        prefix=f"{secret[:12]}...{secret[-4:]}" if len(secret) > 2 * MINIMUM_LENGTH else f"{secret[:6]}...{secret[-4:]}",
        hash=digest(secret),
        project_id=project_id,
        user_id=user_id,
        service_account_id=service_account_id,
        scopes=None if scopes is None else list(scopes),
        created_at=int(time.time()),
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
    )
    session.add(row)
    await changed(session)
    return secret, row


class Keys:
    """The keys of one installation, for its owner at the machine."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str, *, project_id: str | None = DEFAULT_PROJECT, key: str | None = None) -> tuple[str, ApiKeyRow]:
        """A key of the organization's owner, with all of the owner's rights in the project; without one, an admin key."""
        if key is not None:
            _check_given(key)
        async with self._database.session() as session:
            return await add_key(session, name, project_id=project_id, user_id=await owner_of(session), secret=key)

    async def ensure(self, key: str, *, project_id: str | None = DEFAULT_PROJECT) -> None:
        """The key of an unattended start: known afterwards, whether it was before or not. A revoked one stays revoked."""
        _check_given(key)
        async with self._database.session() as session:
            known = await session.scalar(select(ApiKeyRow.id).where(ApiKeyRow.hash == digest(key)))
        if known is None:
            with suppress(Conflict):  # another process was quicker
                await self.create("from the environment", project_id=project_id, key=key)

    async def list(self, *, revoked: bool = False) -> list[ApiKeyRow]:
        """The keys in force, oldest first; with `revoked` also the others."""
        query = select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id)
        if not revoked:
            query = query.where(ApiKeyRow.revoked_at.is_(None))
        async with self._database.session() as session:
            return list(await session.scalars(query))

    async def revoke(self, id_or_prefix: str) -> ApiKeyRow:
        """Revoke by id, or by the displayed prefix if only one key has it. Raises NotFound."""
        async with self._database.session() as session:
            same = (ApiKeyRow.id == id_or_prefix) | (ApiKeyRow.prefix == id_or_prefix)
            rows = list(await session.scalars(select(ApiKeyRow).where(same, ApiKeyRow.revoked_at.is_(None))))
            if len(rows) != 1:
                raise NotFound(f"No single key in force is called '{id_or_prefix}'; `openhearth keys list` shows their ids.")
            rows[0].revoked_at = int(time.time())
            await changed(session)
        return rows[0]


def _check_given(key: str) -> None:
    if len(key) < MINIMUM_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
        raise SetupError(f"A key must have at least {MINIMUM_LENGTH} printable ASCII characters without spaces.")
