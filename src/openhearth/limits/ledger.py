"""Buckets in the database: exchanges with processes, several in one transaction. The arithmetic is `limits.buckets`'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Table, and_, bindparam, literal_column, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.limits.buckets import Offer, Outcome, Shared, exchange, full
from openhearth.limits.tables import RateBucketRow
from openhearth.store.database import Database

_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)",
}
"""Read by the database itself once it has the row: then one machine's clock counts, and no reading is older than the last change."""


class Key(NamedTuple):
    """Which bucket."""

    project_id: str
    model: str
    kind: str


class Ledger:
    """All buckets, as one process sees them."""

    def __init__(self, database: Database, process: str) -> None:
        self._database = database
        self._process = process
        dialect = database.engine.dialect.name
        self._table = table = cast("Table", RateBucketRow.__table__)
        self._insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table).on_conflict_do_nothing()
        now: ColumnElement[float] = literal_column(_NOW[dialect])
        here = and_(*(table.c[name] == bindparam("key_" + name) for name in Key._fields))
        # An update that changes nothing takes the row's lock, on both databases, before anything is read.
        touch = update(table).where(here).values(revision=table.c.revision)
        self._lock = touch.returning(*(table.c[field.name] for field in fields(Shared)), now)
        self._write = update(table).where(here)

    async def exchange(self, offers: Mapping[Key, Offer]) -> dict[Key, Outcome]:
        """All or none. Raises StorageUnavailable, and then it isn't known which."""
        async with self._database.session() as session:
            # In one order everywhere, so that no two processes wait for each other.
            return {key: await self._one(session, key, offers[key]) for key in sorted(offers)}

    async def _one(self, session: AsyncSession, key: Key, offer: Offer) -> Outcome:
        where = {"key_" + name: value for name, value in key._asdict().items()}
        found = await self._locked(session, where)
        while found is None:
            await session.execute(self._insert, {**asdict(full(offer.capacity, 0.0)), **key._asdict()})
            found = await self._locked(session, where)
        row, now = found
        changed, outcome = exchange(row, offer, self._process, now)
        await session.execute(self._write.values(asdict(changed)), where)
        return outcome

    async def _locked(self, session: AsyncSession, where: Mapping[str, Any]) -> tuple[Shared, float] | None:
        found = (await session.execute(self._lock, where)).one_or_none()
        return None if found is None else (Shared(*found[:5]), float(found[5]))
