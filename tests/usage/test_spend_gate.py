"""Hard limits: refused at the limit, never passed by what is reserved, however many race."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.accounts.organization.founding import organization_id
from openhearth.accounts.principal import Access, Principal
from openhearth.accounts.work import Gates, Price, Usage, Work
from openhearth.errors import NotFound, QuotaExceeded, StorageUnavailable
from openhearth.store.database import Database
from openhearth.usage.books import Books, open_books
from openhearth.usage.calendar import month_of, next_month
from openhearth.usage.spend_gate import PATIENCE_S
from openhearth.usage.spend_limits.service import SpendLimits
from openhearth.usage.tables import SpendingRow, SpendLimitRow
from openhearth.wire.organization.spending import SpendLimitUpdate

CENT = 10**7
PRICE = Price(input=10.0, cached_input=10.0, output=100.0)
"""10,000 and 100,000 billionths a token."""


class Installation:
    def __init__(self, database: Database, books: Books, organization: str) -> None:
        self.database = database
        self.books = books
        self.organization = organization
        self.limits = SpendLimits(database, books.spend_gate.changed)
        self.gates = Gates([books.spend_gate, books.recorder])

    def principal(self, project: str = DEFAULT_PROJECT) -> Principal:
        return Principal(Access("project", "key_1", "user-1", self.organization, project, frozenset(), {}), project)

    async def limit(self, cents: int, project: str | None = DEFAULT_PROJECT) -> None:
        await self.limits.set(None, project, SpendLimitUpdate(cents, "USD", "month"))

    async def use(self, tokens: int, *, said: int = 0, project: str = DEFAULT_PROJECT) -> None:
        settle = await self.gates.admit(self.principal(project), Work("completions", "m", 0, said, PRICE))
        settle(Usage(0, tokens))

    async def spent(self) -> int:
        async with self.database.session() as session:
            return int(await session.scalar(text("SELECT COALESCE(SUM(cost), 0) FROM spending")))


@pytest.fixture
async def house(database: Database) -> AsyncIterator[Installation]:
    async with database.session() as session:
        organization = await organization_id(session)
    async with open_books(database) as books:
        yield Installation(database, books, organization)


async def test_a_limit_is_reached_and_raised(house: Installation) -> None:
    await house.use(1000)
    await house.limit(20)
    assert (await house.limits.get(None, DEFAULT_PROJECT)).enforcement.status == "inactive"
    await house.use(1000)
    with pytest.raises(QuotaExceeded) as caught:
        await house.use(1)
    assert (caught.value.status, caught.value.type, caught.value.code) == (429, "insufficient_quota", "insufficient_quota")
    assert "You exceeded your current quota, please check your plan and billing details" in caught.value.message
    await house.books.writer.write()
    assert (await house.limits.get(None, DEFAULT_PROJECT)).enforcement.status == "enforcing"
    await house.use(1, project="proj_other")
    await house.limit(21)
    await house.use(1)
    await house.limits.remove(None, DEFAULT_PROJECT)
    await house.use(10**6)
    with pytest.raises(NotFound):
        await house.limits.get(None, DEFAULT_PROJECT)


async def test_the_organizations_limit_counts_all_projects(house: Installation) -> None:
    await house.limit(20, None)
    await house.use(1000, project="proj_a")
    await house.use(1000, project="proj_b")
    with pytest.raises(QuotaExceeded, match="of the organization"):
        await house.use(1, project="proj_c")


async def test_what_would_pass_the_limit_is_refused_before(house: Installation) -> None:
    await house.limit(10)
    with pytest.raises(QuotaExceeded):
        await house.use(1, said=1001)
    await house.use(1000, said=1000)


async def test_who_never_began_gives_the_reservation_back(house: Installation) -> None:
    await house.limit(10)
    settle = await house.gates.admit(house.principal(), Work("completions", "m", 0, 1000, PRICE))
    with pytest.raises(QuotaExceeded):
        await house.use(1, said=1)
    settle(None)
    await house.use(1000, said=1000)


async def test_a_race_of_64_never_passes_the_limit(house: Installation) -> None:
    """Each says how long its answer may get, and uses less or all of it."""
    await house.limit(50)
    refused = 0

    async def client(seed: int) -> None:
        nonlocal refused
        chance = random.Random(seed)
        for _ in range(8):
            said = chance.randrange(1, 200)
            try:
                settle = await house.gates.admit(house.principal(), Work("completions", "m", 0, said, PRICE))
            except QuotaExceeded:
                refused += 1
                continue
            await asyncio.sleep(chance.random() / 20)
            settle(Usage(0, chance.randrange(said // 2, said + 1)))
            await asyncio.sleep(chance.random() / 5)

    await asyncio.gather(*map(client, range(64)))
    await house.books.writer.write()
    assert refused
    assert 0.95 * 50 * CENT < await house.spent() <= 50 * CENT


async def test_without_a_maximum_it_is_passed_by_what_is_under_way_at_most(house: Installation) -> None:
    await house.limit(50)
    admitted = 0

    async def client(seed: int) -> None:
        nonlocal admitted
        chance = random.Random(seed)
        for _ in range(8):
            try:
                settle = await house.gates.admit(house.principal(), Work("completions", "m", 0, 0, PRICE))
            except QuotaExceeded:
                return
            admitted += 1
            await asyncio.sleep(chance.random() / 20)
            settle(Usage(0, 100))

    await asyncio.gather(*map(client, range(64)))
    await house.books.writer.write()
    assert 50 * CENT <= await house.spent() <= 50 * CENT + 63 * 100 * 100_000
    assert admitted < 64 * 8


async def test_another_processs_spending_and_limits_count_within_a_second(house: Installation) -> None:
    await house.use(1)
    async with house.database.session() as session:
        session.add(SpendLimitRow(scope_id=house.organization, threshold_amount=100, created_at=0))
        session.add(SpendingRow(month=month_of(time.time()), project_id="proj_elsewhere", cost=100 * CENT))
    started = time.monotonic()

    async def go_on() -> None:
        while time.monotonic() - started < 3.0:
            await house.use(1)
            await asyncio.sleep(0.05)

    with pytest.raises(QuotaExceeded):
        await go_on()
    assert time.monotonic() - started < 2.0


async def test_after_a_rest_the_first_request_looks_again(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.use(1)
    async with house.database.session() as session:
        session.add(SpendLimitRow(scope_id=house.organization, threshold_amount=1, created_at=0))
        session.add(SpendingRow(month=month_of(time.time()), project_id="proj_elsewhere", cost=100 * CENT))
    await asyncio.sleep(2.1)
    with pytest.raises(QuotaExceeded):
        await house.use(1)


async def test_a_new_month_begins_at_nothing(database: Database) -> None:
    async with database.session() as session:
        organization = await organization_id(session)
    now = next_month(month_of(time.time())) - 10.0
    async with open_books(database, clock=lambda: now) as books:
        house = Installation(database, books, organization)
        await house.limit(10)
        await house.use(1000)
        with pytest.raises(QuotaExceeded):
            await house.use(1)
        now += 20
        await house.use(1000)
        with pytest.raises(QuotaExceeded):
            await house.use(1)


async def test_a_database_that_is_gone_stops_nothing_but_the_known_limit_holds(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.limit(20)
    await house.use(1000)

    def gone() -> None:
        raise OSError

    monkeypatch.setattr(house.database, "session", gone)
    await asyncio.sleep(2.2)
    await house.use(1000)
    with pytest.raises(QuotaExceeded):
        await house.use(1)
    monkeypatch.undo()


async def test_old_numbers_count_for_a_minute_where_there_is_a_limit(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.limit(20)
    await house.use(1)
    await house.use(1, project="proj_other")

    def gone() -> None:
        raise OSError

    monkeypatch.setattr(house.database, "session", gone)
    monkeypatch.setattr("openhearth.usage.spend_gate.KEPT_S", 1.5)
    await house.use(1)
    await asyncio.sleep(1.6)
    with pytest.raises(StorageUnavailable):
        await house.use(1)
    await house.use(1, project="proj_other")
    monkeypatch.undo()
    await house.use(1)


async def test_a_silent_database_is_waited_for_once(house: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not at all by those whom nothing limits, while somebody writes usage."""
    await house.use(1)
    async with house.books.spend_gate._ledger.moving:
        await asyncio.sleep(2.1)
        began = time.monotonic()
        await house.use(1)
        assert time.monotonic() - began < 0.5
    await house.limit(20)
    await house.use(1)
    async with house.books.spend_gate._ledger.moving:
        await asyncio.sleep(2.1)
        for most in (PATIENCE_S + 0.4, 0.3, 0.3):
            began = time.monotonic()
            await house.use(1)
            assert time.monotonic() - began < most
            await asyncio.sleep(1.2)
