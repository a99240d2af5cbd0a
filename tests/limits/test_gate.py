"""The gate on real databases of both kinds: one process, several, and what happens to it when the database is not well."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, select, text, update

from openhearth.accounts.access import AccessTable, changed
from openhearth.accounts.principal import Access, Principal
from openhearth.accounts.work import Settle, Usage, Work
from openhearth.errors import RateLimited, StorageUnavailable
from openhearth.limits.buckets import PARTS
from openhearth.limits.gate import PATIENCE_S, RateLimits
from openhearth.limits.tables import RateBucketRow, RateLimitRow
from openhearth.settings import LimitSettings
from openhearth.store.database import Database

MODEL = "smollm2:135m"
DAILY = LimitSettings(requests_per_day=200)


def principal() -> Principal:
    return Principal(Access("project", "key_1", "user-1", "org-1", "proj_default", frozenset(), {}), "proj_default")


def work(tokens: int = 1, model: str = MODEL) -> Work:
    return Work("completions", model, tokens)


@asynccontextmanager
async def gate(database: Database, defaults: LimitSettings) -> AsyncIterator[RateLimits]:
    """A process's gate."""
    access = AccessTable(database)
    await access.refresh()
    async with RateLimits(database, access, defaults).running() as limits:
        yield limits


@asynccontextmanager
async def hosts(url: str, number: int, defaults: LimitSettings) -> AsyncIterator[list[RateLimits]]:
    """Several processes on one database."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(number):
            database = Database(url)
            stack.push_async_callback(database.close)
            found.append(await stack.enter_async_context(gate(database, defaults)))
        yield found


async def passes(limits: RateLimits, tokens: int = 1) -> Settle | None:
    try:
        return await limits.admit(principal(), work(tokens))
    except RateLimited:
        return None


async def count(attempts: Sequence[Awaitable[Settle | None]]) -> int:
    return sum(settle is not None for settle in await asyncio.gather(*attempts))


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(100):
        if await check():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("It did not happen in 5 seconds.")


async def test_sixty_four_at_once_pass_exactly_the_limit(database: Database) -> None:
    async with gate(database, DAILY) as limits:
        assert await count([passes(limits) for _ in range(64 * 5)]) == 200
        assert await passes(limits) is None


async def test_what_never_began_leaves_no_trace(database: Database) -> None:
    async with gate(database, LimitSettings(requests_per_day=3, tokens_per_minute=60)) as limits:
        for _ in range(10):
            settle = await limits.admit(principal(), work(50))
            settle(None)
        settle = await limits.admit(principal(), work(50))
        settle(Usage(10, 5))
        assert await passes(limits, 45) is not None
        assert await passes(limits, 30) is None


async def test_what_was_used_beyond_the_estimate_is_owed(database: Database) -> None:
    async with gate(database, LimitSettings(tokens_per_minute=600)) as limits:
        (await limits.admit(principal(), work(10)))(Usage(500, 200))
        with pytest.raises(RateLimited) as raised:
            await limits.admit(principal(), work(10))
        assert raised.value.type == "tokens"
        assert "Limit 600, Used 7" in raised.value.message
        assert 10_000 < int(raised.value.headers["retry-after-ms"]) <= 11_000


async def test_who_comes_again_when_told_passes(database: Database) -> None:
    async with gate(database, LimitSettings(requests_per_minute=120)) as limits:
        assert await count([passes(limits) for _ in range(121)]) >= 120
        for _ in range(3):
            while await passes(limits) is not None:
                pass
            with pytest.raises(RateLimited) as raised:
                await limits.admit(principal(), work())
            await asyncio.sleep(int(raised.value.headers["retry-after-ms"]) / 1000)
            assert await passes(limits) is not None


async def test_larger_than_the_whole_limit(database: Database) -> None:
    async with gate(database, LimitSettings(tokens_per_minute=600)) as limits:
        with pytest.raises(RateLimited, match="Request too large for smollm2:135m in organization org-1 on tokens per min"):
            await limits.admit(principal(), Work("completions", MODEL, 100, 501))
        assert await passes(limits, 600) is not None


async def test_several_processes_never_pass_the_limit_and_fall_short_by_others_leases_only(database: Database, database_url: str) -> None:
    async with hosts(database_url, 4, DAILY) as processes:
        passed = await count([passes(processes[number % 4]) for number in range(600)])
        assert 200 - 3 * (200 // PARTS) <= passed <= 200
        # What was held by processes that had no more requests comes back after a second, and then nothing falls short.
        await asyncio.sleep(1.6)
        passed += await count([passes(processes[0]) for _ in range(200)])
        assert passed == 200


async def test_a_lease_of_tokens_goes_back_too(database: Database, database_url: str) -> None:
    async with hosts(database_url, 2, LimitSettings(tokens_per_minute=1_000_000)) as (one, other):
        for _ in range(5):
            (await one.admit(principal(), work(1000)))(Usage(100))
        asked = principal()

        async def nothing_is_held() -> bool:
            (await other.admit(asked, work(0)))(None)
            return int(asked.notices["x-ratelimit-remaining-tokens"]) > 1_000_000 - 1000

        await eventually(nothing_is_held)


async def test_who_is_refused_holds_nothing_either(database: Database) -> None:
    """What the other bucket gave meanwhile goes back."""
    async with gate(database, LimitSettings(requests_per_minute=160, tokens_per_minute=600)) as limits:
        (await limits.admit(principal(), work(600)))(Usage(600))
        await asyncio.sleep(1.6)
        assert await passes(limits, 500) is None

        async def nothing_is_held() -> bool:
            async with database.session() as session:
                return not any(row.leases for row in await session.scalars(select(RateBucketRow)))

        await eventually(nothing_is_held)


async def test_a_days_limit_survives_a_restart(database: Database) -> None:
    for _ in range(4):
        async with gate(database, DAILY) as limits:
            assert await count([passes(limits) for _ in range(50)]) == 50
    async with gate(database, DAILY) as limits:
        assert await passes(limits) is None


async def test_limits_that_were_set_count_at_once_here_and_soon_elsewhere(database: Database, database_url: str) -> None:
    async with hosts(database_url, 2, DAILY) as (one, other):
        assert await passes(one) is not None
        assert await passes(other) is not None
        for limits in (one, other):
            async with limits._ledger._database.session() as session:
                row = await session.merge(RateLimitRow(project_id="proj_default", model=MODEL, max_requests_per_1_day=2))
                row.max_requests_per_1_day = 2
                await changed(session)
            await limits._allowances._access.refresh()
        assert await passes(one) is None
        assert await passes(other) is None
        assert (await one.admit(principal(), work(model="another"))) is not None


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_a_step_of_the_clock_lets_nothing_through(database: Database, step: float) -> None:
    """The wall clock is moved by moving what the database remembers of it."""
    async with gate(database, LimitSettings(requests_per_minute=30)) as limits:
        passed = await count([passes(limits) for _ in range(40)])
        async with database.session() as session:
            await session.execute(update(RateBucketRow).values(updated_at=RateBucketRow.updated_at - step))
        await asyncio.sleep(0.3)
        passed += await count([passes(limits) for _ in range(40)])
        assert 30 <= passed <= 34  # two a second fill up, in a test that takes under two


async def test_a_database_that_is_locked(database: Database) -> None:
    """Served from the lease; then an error that says so, nothing passed over, and all well when it is back."""
    if database.engine.dialect.name == "sqlite":
        event.listen(database.engine.sync_engine, "checkout", lambda connection, *_: connection.execute("PRAGMA busy_timeout=100"))
    else:
        event.listen(database.engine.sync_engine, "checkout", _short_lock_timeout)
    await database.engine.dispose()
    async with gate(database, LimitSettings(requests_per_day=160, requests_per_minute=160)) as limits:
        assert await passes(limits) is not None
        blocker = Database(database.url)
        async with blocker.session() as session:
            await session.execute(update(RateBucketRow).values(revision=RateBucketRow.revision))
            assert await count([passes(limits) for _ in range(9)]) == 9
            with pytest.raises(StorageUnavailable):
                await limits.admit(principal(), work())
        await blocker.close()
        assert await count([passes(limits) for _ in range(200)]) in range(150 - 1, 150 + 1)


def _short_lock_timeout(connection: object, *_: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("SET lock_timeout = 100")
    cursor.close()
    connection.commit()  # type: ignore[attr-defined]


async def test_a_full_database(database: Database) -> None:
    if database.engine.dialect.name != "sqlite":
        pytest.skip("a full disk can't be had here for PostgreSQL; its errors take the same way")
    pages = {"most": 1}
    event.listen(
        database.engine.sync_engine, "checkout", lambda connection, *_: connection.execute(f"PRAGMA max_page_count={pages['most']}")
    )
    await database.engine.dispose()
    async with gate(database, DAILY) as limits:
        new = [limits.admit(principal(), work(model=f"{number}-" + "x" * 240)) for number in range(200)]
        outcomes = await asyncio.gather(*new, return_exceptions=True)  # new rows, until there is no page for them
        assert {type(one) for one in outcomes if isinstance(one, BaseException)} == {StorageUnavailable}
        pages["most"] = 1_000_000
        assert await passes(limits) is not None


async def test_requests_that_are_given_up_while_they_wait_take_nothing(database: Database) -> None:
    async with gate(database, LimitSettings(requests_per_day=15)) as limits:
        for _ in range(10):
            task = asyncio.create_task(limits.admit(principal(), work()))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.2)
        assert await count([passes(limits) for _ in range(30)]) == 15


async def test_what_is_held_stands_in_the_database(database: Database) -> None:
    async with gate(database, DAILY) as limits:
        assert await passes(limits) is not None
        async with database.session() as session:
            rows = list(await session.scalars(select(RateBucketRow)))
            assert {row.kind for row in rows} == {"requests_per_minute", "tokens_per_minute", "requests_per_day"}
            assert all(row.leases for row in rows)
    async with database.session() as session:
        kept = {row.kind: (row.available, row.leases) for row in await session.scalars(select(RateBucketRow))}
    assert kept["requests_per_day"] == (pytest.approx(199, abs=0.1), {})


async def test_a_database_that_is_gone_and_comes_back(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("a file doesn't go away")
    sockets = sorted(Path(database.url.partition("host=")[2]).glob(".s.PGSQL.*"))
    async with gate(database, LimitSettings(requests_per_day=160)) as limits:
        assert await passes(limits) is not None
        await _kick(database)
        try:
            for socket in sockets:
                socket.rename(f"{socket}.away")
            outcomes = await asyncio.gather(*(limits.admit(principal(), work()) for _ in range(100)), return_exceptions=True)
        finally:
            for socket in sockets:
                Path(f"{socket}.away").rename(socket)
        assert {type(one) for one in outcomes if isinstance(one, BaseException)} == {StorageUnavailable}
        assert sum(callable(one) for one in outcomes) == 9  # what was held
        await eventually(lambda: works(limits))
        passed = 0
        while await passes(limits) is not None:
            passed += 1
        assert passed <= 160 - 11


SHIPPED = LimitSettings()


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """All buckets, by another program."""
    blocker = Database(url)
    async with blocker.session() as session:
        await session.execute(update(RateBucketRow).values(revision=RateBucketRow.revision))
        yield
    await blocker.close()


async def test_shipped_limits_step_aside_and_count_again(database: Database) -> None:
    """About a second is lost in all, however many come and however long it lasts."""
    async with gate(database, SHIPPED) as limits:
        assert await passes(limits) is not None
        await asyncio.sleep(1.6)  # nothing is held
        before = await used(database)
        began = time.monotonic()
        async with locked(database.url):
            for _ in range(3):
                assert await count([passes(limits) for _ in range(40)]) == 40
            assert await passes(limits) is not None
            assert await count([limits.admit(principal(), work(model="another")) for _ in range(40)]) == 40
            assert time.monotonic() - began < PATIENCE_S + 0.8
            await asyncio.sleep(PATIENCE_S + 0.2)
            began = time.monotonic()
            assert await passes(limits) is not None
            assert time.monotonic() - began < 0.3

        async def counts() -> bool:
            (await limits.admit(principal(), work()))(Usage(1))
            return await used(database) > before

        await eventually(counts)


async def test_a_limit_that_an_owner_set_stays_shut(database: Database) -> None:
    """As high as the shipped one; all who wait fail together, and the models beside it go on."""
    async with database.session() as session:
        session.add(RateLimitRow(project_id="proj_default", model=MODEL, max_requests_per_1_minute=SHIPPED.requests_per_minute))
        await changed(session)
    async with gate(database, SHIPPED) as limits:
        assert await passes(limits) is not None
        await asyncio.sleep(1.6)
        async with locked(database.url):
            began = time.monotonic()
            outcomes = await asyncio.gather(*(limits.admit(principal(), work()) for _ in range(40)), return_exceptions=True)
            assert {type(one) for one in outcomes} == {StorageUnavailable}
            assert time.monotonic() - began < 12  # one lock's time limit, or two
            assert await limits.admit(principal(), work(model="another")) is not None
        await eventually(lambda: works(limits))


async def test_a_silent_database_is_not_waited_for_again(database: Database) -> None:
    """The guard has noticed."""
    async with gate(database, SHIPPED) as limits:
        assert await passes(limits) is not None
        await asyncio.sleep(1.6)
        async with locked(database.url):
            database.silent = True
            began = time.monotonic()
            assert await count([passes(limits) for _ in range(40)]) == 40
            assert time.monotonic() - began < 0.5


async def used(database: Database) -> int:
    """How often the minute's bucket was exchanged."""
    async with database.session() as session:
        return int(
            await session.scalar(
                select(RateBucketRow.revision).where(RateBucketRow.model == MODEL, RateBucketRow.kind == "requests_per_minute")
            )
            or 0
        )


async def works(limits: RateLimits) -> bool:
    try:
        return await passes(limits) is not None
    except StorageUnavailable:
        return False


async def _kick(database: Database) -> None:
    other = Database(database.url)
    async with other.session() as session:
        await session.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        )
    await other.close()
