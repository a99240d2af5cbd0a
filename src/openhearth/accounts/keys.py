"""API keys: made, listed, revoked, and checked at every request.

A check costs a hash and a dictionary look-up; the dictionary is the table, read again once it is older than a second, so a key that
another process makes or revokes counts within that second.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import select

from openhearth.accounts.tables import ApiKeyRow
from openhearth.errors import AuthenticationFailed, NotFound, SetupError
from openhearth.store.database import Database
from openhearth.wire.ids import new_id

DEFAULT_PROJECT = "proj_default"
MINIMUM_LENGTH = 16
REFRESH_S = 1.0


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: the key's id and the project whose things it sees."""

    key_id: str
    project_id: str


def digest(key: str) -> bytes:
    """What is stored in a key's place."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class Keys:
    """The keys of one installation."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, Principal] = {}
        self._admitted: dict[bytes, Principal] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def create(self, name: str, *, key: str | None = None) -> tuple[str, ApiKeyRow]:
        """A new key (or the given one) and its row. The key itself is not kept and can't be shown again."""
        secret = key or "sk-" + secrets.token_urlsafe(32)
        if len(secret) < MINIMUM_LENGTH or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise SetupError(f"A key must have at least {MINIMUM_LENGTH} printable ASCII characters without spaces.")
        row = ApiKeyRow(
            id=new_id("key_", 24),
            name=name,
            prefix=f"{secret[:6]}...{secret[-4:]}",
            hash=digest(secret),
            project_id=DEFAULT_PROJECT,
            created_at=int(time.time()),
            revoked_at=None,
        )
        async with self._database.session() as session:
            session.add(row)
        self._read_at = float("-inf")
        return secret, row

    async def ensure(self, key: str) -> None:
        """The key of an unattended start: known afterwards, whether it was before or not. A revoked one stays revoked."""
        async with self._database.session() as session:
            known = await session.scalar(select(ApiKeyRow.id).where(ApiKeyRow.hash == digest(key)))
        if known is None:
            await self.create("from the environment", key=key)

    def admit(self, key: str, key_id: str) -> None:
        """Accept a key that is in no database, as long as this process lives."""
        self._admitted[digest(key)] = Principal(key_id, DEFAULT_PROJECT)

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
        self._read_at = float("-inf")
        return rows[0]

    async def check(self, key: str) -> Principal:
        """Whose key this is. Raises AuthenticationFailed."""
        if time.monotonic() - self._read_at > REFRESH_S:
            await self._refresh()
        principal = self._known.get(digest(key))
        if principal is None:
            raise AuthenticationFailed(f"Incorrect API key provided: {_shown(key)}. `openhearth keys create` makes one on the server.")
        return principal

    async def _refresh(self) -> None:
        # Many requests may find the table old at once; one reads it for all.
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        started = time.monotonic()
        rows = await self.list()
        self._known = {**self._admitted, **{row.hash: Principal(row.id, row.project_id) for row in rows}}
        self._read_at = started


def _shown(key: str) -> str:
    return f"{key[:3]}***{key[-4:]}" if len(key) >= MINIMUM_LENGTH else "***"
