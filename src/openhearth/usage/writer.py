"""Writes recorded usage into the database, in the background: into minutes, hours, days and the month's spending, in one transaction.

Each transaction also writes how far this process has come, on condition that it hasn't been there yet. So when the outcome of a commit is
unknown (the connection broke, time ran out), the same is simply tried again, and counts once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Table as CoreTable
from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.store.database import Database
from openhearth.usage.ledger import Ledger
from openhearth.usage.recorder import Recorder
from openhearth.usage.sums import COUNTS, WIDTHS, Sums
from openhearth.usage.tables import SpendingRow, UsageRow, UsageWriterRow
from openhearth.wire.ids import new_id

INTERVAL_S = 0.5
"""With the time that a commit takes, less than a second's usage is in memory only."""
WRITE_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 20.0
IDLE_ROUNDS = 120
"""So often without anything to write, `afterwards` is called all the same: about once a minute."""

log = logging.getLogger(__name__)


async def _nothing() -> None:
    pass


class UsageWriter:
    """The one writer of this process's usage. `afterwards` is called after each write."""

    def __init__(
        self, database: Database, recorder: Recorder, ledger: Ledger, *, afterwards: Callable[[], Awaitable[None]] = _nothing
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._ledger = ledger
        self._afterwards = afterwards
        self._id = new_id("writer_", 24)
        self._sequence = 0
        self._batch: Sums | None = None
        """Taken and not yet known to be written; tried again as it is."""
        self._failing = False
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Sums that are not known to be written."""
        return len(self._recorder) + len(self._batch or ())

    def start(self) -> None:
        """Begin to write, twice a second."""
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what is there. A database that can't take it now is asked for `CLOSE_TIMEOUT_S`."""
        self._stop.set()
        if self._running is not None:
            await self._running
        until = time.monotonic() + CLOSE_TIMEOUT_S
        while self.waiting and time.monotonic() < until:
            if not await self._try():
                await asyncio.sleep(INTERVAL_S)
        if self.waiting:
            log.error("The database did not take the last usage: %d sums are lost.", self.waiting)
        elif self._sequence:
            with suppress(Exception):
                async with self._database.session() as session:
                    await session.execute(delete(UsageWriterRow).where(UsageWriterRow.id == self._id))

    async def write(self) -> bool:
        """Write what was recorded, if anything. Raises what the database raises; nothing is lost then."""
        async with self._ledger.moving:
            if self._batch is None:
                if not len(self._recorder):
                    return False
                self._batch = self._recorder.take()
                self._sequence += 1
            async with asyncio.timeout(WRITE_TIMEOUT_S), self._database.session() as session:
                await self._write_once(session, self._batch)
            self._ledger.wrote(self._batch.spending())
            self._batch = None
            return True

    async def _run(self) -> None:
        idle = 0
        while not self._stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._stop.wait()
            idle = 0 if self.waiting else idle + 1
            if self.waiting or idle % IDLE_ROUNDS == 0:
                await self._try()

    async def _try(self) -> bool:
        try:
            await self.write()
            await self._afterwards()
        except Exception as error:
            if not self._failing:
                log.warning("Usage can't be written now (%s); it is kept, and tried again.", type(error).__name__)
            self._failing = True
            return False
        if self._failing:
            log.warning("Usage is written again.")
        self._failing = False
        return True

    async def _write_once(self, session: AsyncSession, batch: Sums) -> None:
        if not await self._is_new(session):
            return
        for width in WIDTHS:
            await self._add(session, UsageRow, batch.rows(width), COUNTS)
        spending = [{"month": month, "project_id": project, "cost": cost} for (month, project), cost in sorted(batch.spending().items())]
        await self._add(session, SpendingRow, spending, ("cost",))

    async def _is_new(self, session: AsyncSession) -> bool:
        """Says in the database that it has come so far; False: it had already. Waits for a commit of the same that is still under way."""
        insert = self._insert(_table(UsageWriterRow)).values(id=self._id, sequence=self._sequence, written_at=int(time.time()))
        come_so_far = insert.on_conflict_do_update(
            index_elements=["id"],
            set_={"sequence": insert.excluded.sequence, "written_at": insert.excluded.written_at},
            where=UsageWriterRow.sequence < insert.excluded.sequence,
        )
        return (await session.execute(come_so_far.returning(UsageWriterRow.sequence))).first() is not None

    async def _add(self, session: AsyncSession, row: type, values: list[dict[str, Any]], counts: tuple[str, ...]) -> None:
        """New rows as they are; where there is one with the same key, the counts are added to it."""
        if values:
            table = _table(row)
            insert = self._insert(table)
            added = {name: table.c[name] + insert.excluded[name] for name in counts}
            await session.execute(insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=added), values)

    def _insert(self, table: CoreTable) -> Any:
        """Both databases have the same statement for this; SQLAlchemy has it once for each."""
        return (postgresql if self._database.engine.dialect.name == "postgresql" else sqlite).insert(table)


def _table(row: Any) -> CoreTable:
    table: CoreTable = row.__table__
    return table
