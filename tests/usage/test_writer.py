"""Recorded usage comes into the database once, whatever the database and the clock do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.principal import Access, Principal
from openhearth.accounts.work import Price, Usage, Work
from openhearth.errors import StorageUnavailable
from openhearth.store.database import Database
from openhearth.usage import sums, writer
from openhearth.usage.calendar import month_of
from openhearth.usage.ledger import WHOLE, Ledger
from openhearth.usage.recorder import Recorder
from openhearth.usage.sums import WIDTHS
from openhearth.usage.tables import SpendingRow, UsageRow, UsageWriterRow
from openhearth.usage.writer import UsageWriter

NOW = 1_795_000_000
PRICE = Price(input=1.0, cached_input=0.1, output=10.0)
WORK = Work("completions", "m", 10, price=PRICE)
USAGE = Usage(100, 20, cached_tokens=40)
COST = 60 * 1000 + 40 * 100 + 20 * 10_000


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class Process:
    """What one process has of this room."""

    def __init__(self, database: Database) -> None:
        self.clock = Clock()
        self.ledger = Ledger()
        self.recorder = Recorder(self.ledger, self.clock)
        self.writer = UsageWriter(database, self.recorder, self.ledger)

    def use(self, times: int = 1, *, project: str = "proj_a", work: Work = WORK) -> None:
        for _ in range(times):
            self.recorder.record(principal(project), work, USAGE)


def principal(project: str = "proj_a") -> Principal:
    return Principal(Access("project", "key_1", "user-1", "org-1", project, frozenset(), {}), project)


async def requests(database: Database, width: int = 86400) -> int:
    async with database.session() as session:
        return int(await session.scalar(select(func.coalesce(func.sum(UsageRow.requests), 0)).where(UsageRow.width == width)))


async def spent(database: Database) -> int:
    async with database.session() as session:
        return int(await session.scalar(select(func.coalesce(func.sum(SpendingRow.cost), 0))))


@pytest.fixture
def process(database: Database) -> Process:
    return Process(database)


async def test_one_sum_in_three_widths(database: Database, process: Process) -> None:
    process.use(2)
    process.clock.now += 60
    process.use(1)
    await process.writer.write()
    process.use(1)
    await process.writer.write()
    assert [await requests(database, width) for width in WIDTHS] == [4, 4, 4]
    async with database.session() as session:
        (day,) = await session.scalars(select(UsageRow).where(UsageRow.width == 86400))
        minutes = (await session.scalars(select(UsageRow).where(UsageRow.width == 60).order_by(UsageRow.start))).all()
    assert (day.start, day.input_tokens, day.cached_tokens, day.output_tokens) == (NOW - NOW % 86400, 400, 160, 80)
    assert (day.input_cost, day.cached_cost, day.output_cost) == (4 * 60_000, 4 * 4000, 4 * 200_000)
    assert (day.operation, day.project_id, day.user_id, day.api_key_id, day.model) == ("completions", "proj_a", "user-1", "key_1", "m")
    assert [minute.requests for minute in minutes] == [2, 2]
    assert await spent(database) == 4 * COST


async def test_sound_images_and_batches_are_counted(database: Database, process: Process) -> None:
    process.recorder.record(principal(), Work("images", "p", 0, detail="1024x1024", source="image.edit"), Usage(5, units=3))
    process.recorder.record(
        principal(), Work("completions", "s", 0, batch=True), Usage(50, 9, input_audio_tokens=30, output_audio_tokens=4)
    )
    await process.writer.write()
    async with database.session() as session:
        rows = {row.operation: row for row in await session.scalars(select(UsageRow).where(UsageRow.width == 60))}
    images, heard = rows["images"], rows["completions"]
    assert (images.units, images.detail, images.source, images.batch) == (3, "1024x1024", "image.edit", False)
    assert (heard.input_audio_tokens, heard.output_audio_tokens, heard.batch) == (30, 4, True)


async def test_a_commit_of_unknown_outcome_counts_once(database: Database, process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection breaks after the database has committed: for the program that is a failure like any other."""
    whole, broken = database.session, True

    @asynccontextmanager
    async def breaking() -> AsyncIterator[AsyncSession]:
        async with whole() as session:
            yield session
        if broken:
            raise ConnectionResetError

    monkeypatch.setattr(database, "session", breaking)
    process.use(3)
    with pytest.raises(ConnectionResetError):
        await process.writer.write()
    broken = False
    assert await requests(database) == 3
    assert process.writer.waiting
    process.use(2)
    assert process.ledger.spent(month_of(NOW), WHOLE) == 5 * COST
    await process.writer.write()
    await process.writer.write()
    assert [await requests(database, width) for width in WIDTHS] == [5, 5, 5]
    assert await spent(database) == 5 * COST
    assert process.ledger.spent(month_of(NOW), "proj_a") == 5 * COST
    assert not process.writer.waiting


async def test_a_failure_in_the_middle_counts_once(database: Database, process: Process) -> None:
    async with database.session() as session:
        await session.execute(text("ALTER TABLE spending RENAME TO elsewhere"))
    process.use(3)
    with pytest.raises(StorageUnavailable):
        await process.writer.write()
    process.use(1)
    async with database.session() as session:
        await session.execute(text("ALTER TABLE elsewhere RENAME TO spending"))
    await process.writer.write()
    await process.writer.write()
    assert [await requests(database, width) for width in WIDTHS] == [4, 4, 4]
    assert await spent(database) == 4 * COST


async def test_many_processes_write_at_once(database: Database) -> None:
    processes = [Process(database) for _ in range(4)]

    async def work(process: Process) -> None:
        for _ in range(10):
            for number in range(20):
                process.use(project=f"proj_{number}")
            await process.writer.write()

    await asyncio.gather(*map(work, processes))
    assert [await requests(database, width) for width in WIDTHS] == [800, 800, 800]
    assert await spent(database) == 800 * COST


async def test_steps_of_the_clock_lose_and_double_nothing(database: Database, process: Process) -> None:
    for step in (0, -7200, 86400 * 40, -86400 * 40, -1, 3600):
        process.clock.now += step
        process.use(2)
        await process.writer.write()
    assert [await requests(database, width) for width in WIDTHS] == [12, 12, 12]
    assert await spent(database) == 12 * COST


async def test_it_is_written_in_the_background_and_to_the_last_at_the_end(database: Database, process: Process) -> None:
    process.writer.start()
    process.use(5)
    async with asyncio.timeout(5):
        while await requests(database) < 5:
            await asyncio.sleep(0.05)
    process.use(7)
    await process.writer.close()
    assert await requests(database) == 12
    async with database.session() as session:
        assert not (await session.scalars(select(UsageWriterRow))).all()


async def test_a_clock_that_steps_back_does_not_stop_the_writer(
    database: Database, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    process.writer.start()
    process.use(5)
    async with asyncio.timeout(5):
        while await requests(database) < 5:
            await asyncio.sleep(0.05)
    await process.writer.close()


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Database]:
    """SQLite that doesn't wait for locks."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'house.db'}")
    event.listen(database.engine.sync_engine, "connect", lambda connection, _record: connection.execute("PRAGMA busy_timeout=50"))
    await database.prepare()
    yield database
    await database.close()


async def test_a_locked_database_is_tried_again(impatient: Database, tmp_path: Path) -> None:
    process = Process(impatient)
    other = sqlite3.connect(tmp_path / "house.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    process.writer.start()
    process.use(3)
    await asyncio.sleep(1.5)
    process.use(1)
    assert process.writer.waiting == 2
    other.execute("ROLLBACK")
    other.close()
    await process.writer.close()
    assert await requests(impatient) == 4


async def test_a_full_database_is_tried_again(impatient: Database) -> None:
    process = Process(impatient)
    pages = "PRAGMA max_page_count=1"  # SQLite takes the pages that there are

    def full(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(pages)

    event.listen(impatient.engine.sync_engine, "connect", full)
    await impatient.engine.dispose()
    work = [Work("completions", "m" * 200 + str(number), 1, price=PRICE) for number in range(200)]
    for each in work:
        process.use(work=each)
    with pytest.raises(StorageUnavailable):
        await process.writer.write()
    pages = "PRAGMA max_page_count=1000000"
    await impatient.engine.dispose()
    await process.writer.write()
    assert await requests(impatient) == 200


async def test_a_database_that_went_away_is_tried_again(postgres: object, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.prepared()  # type: ignore[attr-defined]
    name = url.partition("?")[0].rpartition("/")[2]
    database = Database(url)
    process = Process(database)
    process.use(1)
    await process.writer.write()
    psql = postgres._server.psql  # type: ignore[attr-defined]
    psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false;")
    psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';")  # noqa: S608 - its own name
    process.writer.start()
    process.use(3)
    await asyncio.sleep(1.2)
    assert process.writer.waiting
    psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true;")
    await process.writer.close()
    assert await requests(database) == 4
    await database.close()


async def test_what_is_lost_at_the_end_is_said(
    impatient: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CLOSE_TIMEOUT_S", 0.1)
    process = Process(impatient)
    async with impatient.session() as session:
        await session.execute(text("DROP TABLE usage"))
    process.use(3)
    await process.writer.close()
    assert "are lost" in caplog.text


async def test_memory_is_bounded_while_the_database_is_gone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums.Sums.__init__, "__defaults__", (50,))
    process = Process(database)
    for minute in range(60 * 30):
        process.clock.now = NOW + minute * 60
        process.use()
    assert len(process.recorder) <= 50
    await process.writer.write()
    assert [await requests(database, width) for width in WIDTHS] == [1800, 1800, 1800]
    assert await spent(database) == 1800 * COST
