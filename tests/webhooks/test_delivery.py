"""Events on their way, over both databases: the outbox, retries, claims, and endpoints that hold nobody up."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from sqlalchemy import select, text, update

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.accounts.tables import ProjectRow
from openhearth.store.database import Database
from openhearth.webhooks import delivery as loop
from openhearth.webhooks.backoff import LONGEST_S, Backoff
from openhearth.webhooks.claims import REST_S, claim, forget, settle
from openhearth.webhooks.delivery import Delivery
from openhearth.webhooks.events import emit
from openhearth.webhooks.sending import Outcome, Sender
from openhearth.webhooks.service import Webhooks
from openhearth.webhooks.tables import WebhookDeliveryRow, WebhookEndpointRow
from openhearth.webhooks.targets import Targets
from openhearth.wire.webhooks import WebhookEndpointCreate, WebhookEndpointUpdate, WebhookPageQuery
from tests.support.receiver import Receiver, receiver

ALLOW = ["127.0.0.1"]
QUICK = Backoff(first_s=0.01)
LEASE_S = 20
DONE, FAILED = "batch.completed", "batch.failed"


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def webhooks(database: Database) -> Webhooks:
    return Webhooks(database, Targets(ALLOW), Sender(Targets(ALLOW), 2.0))


async def endpoint(webhooks: Webhooks, url: str, *types: str, project: str = DEFAULT_PROJECT) -> str:
    row = await webhooks.create(None, project, WebhookEndpointCreate(event_types=list(types or (DONE,)), name="mine", url=url))
    return row.id


async def say(database: Database, number: int = 1, event_type: str = DONE, project: str = DEFAULT_PROJECT) -> list[str]:
    async with database.session() as session:
        return [await emit(session, project, event_type, {"id": "batch_1"}) for _ in range(number)]


async def rows(database: Database) -> Sequence[WebhookDeliveryRow]:
    async with database.session() as session:
        return (await session.scalars(select(WebhookDeliveryRow).order_by(WebhookDeliveryRow.position))).all()


async def ended(database: Database) -> Sequence[WebhookDeliveryRow]:
    """All deliveries, once none is pending."""
    async with asyncio.timeout(20):
        while True:
            found = await rows(database)
            if all(row.ended_at is not None for row in found):
                return found
            await asyncio.sleep(0.02)


def delivery(database: Database, *, backoff: Backoff = QUICK, timeout_s: float = 2.0, clock: object = time.time) -> Delivery:
    return Delivery(database, Sender(Targets(ALLOW), timeout_s), backoff, clock)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks for work fifty times a second."""
    monkeypatch.setattr(loop, "POLL_S", 0.02)


async def test_an_event_goes_to_those_of_its_project_that_want_it(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    async with database.session() as session:
        session.add(ProjectRow(id="proj_other", name="Other", created_at=1, data_retention="organization_default", details={}))
    await endpoint(webhooks, told.url("/ok/one"))
    await endpoint(webhooks, told.url("/ok/two"), DONE, FAILED)
    await endpoint(webhooks, told.url("/ok/three"), FAILED)
    await endpoint(webhooks, told.url("/ok/four"), project="proj_other")
    (event_id,) = await say(database)
    async with delivery(database).running():
        found = await ended(database)
    assert [(row.event_id, row.status, row.attempts) for row in found] == [(event_id, 200, 1)] * 2
    assert {one.path for one in told.received} == {"/ok/one", "/ok/two"}
    event = json.loads(told.received[0].body)
    assert (event["type"], event["data"], event["id"]) == (DONE, {"id": "batch_1"}, event_id)


async def test_nothing_is_told_of_what_was_rolled_back(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    await endpoint(webhooks, told.url("/ok"))

    async def fail() -> None:
        async with database.session() as session:
            await emit(session, DEFAULT_PROJECT, DONE, {"id": "batch_1"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await rows(database) == []


async def test_an_unknown_type_is_a_mistake_of_ours(database: Database) -> None:
    with pytest.raises(ValueError, match=r"batch\.sung"):
        await say(database, event_type="batch.sung")


async def test_failures_are_tried_again_with_the_same_id(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    await endpoint(webhooks, told.url("/then/3/x"))
    (event_id,) = await say(database)
    async with delivery(database).running():
        (row,) = await ended(database)
    assert (row.status, row.attempts) == (200, 4)
    came = told.at("/then/3/x")
    assert {one.headers["webhook-id"] for one in came} == {event_id}
    assert len({one.body for one in came}) == 1


async def test_it_is_given_up_in_the_end(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    await endpoint(webhooks, told.url("/status/500"))
    await endpoint(webhooks, told.url("/redirect"))
    await say(database)
    async with delivery(database, backoff=Backoff(first_s=0.01, give_up_s=0.0)).running():
        found = await ended(database)
    assert [(row.status, row.attempts) for row in found] == [(500, 1), (302, 1)]
    assert told.at("/ok") == []


async def test_410_ends_all_for_that_endpoint_until_it_is_changed(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    gone = await endpoint(webhooks, told.url("/gone"))
    await say(database, 5)
    async with delivery(database).running():
        found = await ended(database)
        assert all(row.status == 410 for row in found)
        assert len(told.at("/gone")) <= loop.AT_ONCE_EACH
        await say(database)
        assert len(await rows(database)) == 5
        row, _told = await webhooks.deliveries(DEFAULT_PROJECT, gone, WebhookPageQuery())
        assert row.disabled_at
        await webhooks.update(None, DEFAULT_PROJECT, gone, WebhookEndpointUpdate(url=told.url("/ok/moved")))
        await say(database)
        await ended(database)
    assert len(told.at("/ok/moved")) == 1


async def test_one_dead_endpoint_holds_up_nobody(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    await endpoint(webhooks, told.url("/slow"))
    await say(database, 200)
    await endpoint(webhooks, told.url("/ok"))
    await say(database, 20)
    started = time.monotonic()
    async with delivery(database, timeout_s=5.0).running():
        await asyncio.to_thread(told.wait, "/ok", 20)
        assert time.monotonic() - started < 4
        assert len(told.at("/slow")) <= loop.AT_ONCE_EACH
        told.leaving.set()


async def test_who_gives_no_answer_is_left_alone_for_a_while(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    await endpoint(webhooks, told.url("/ok"))
    await say(database, 3)
    now = int(time.time())
    async with database.session() as session:
        (one,) = await claim(session, now, LEASE_S, 1, 1, Counter())
    async with database.session() as session:
        await settle(session, one, Outcome(0, "timeout"), Backoff(first_s=3600), now)
    times = [row.next_at for row in await rows(database)]
    assert times[0] >= now + 0.7 * 3600
    assert times[1:] == [now + REST_S] * 2


async def test_processes_share_the_work_and_send_nothing_twice(
    database: Database, webhooks: Webhooks, told: Receiver, database_url: str
) -> None:
    """Two loops with connections of their own, as two servers on one database have them."""
    for number in range(8):
        await endpoint(webhooks, told.url(f"/ok/{number}"))
    await say(database, 10)

    @asynccontextmanager
    async def another():  # type: ignore[no-untyped-def]
        second = Database(database_url)
        async with delivery(second, timeout_s=15.0).running():
            yield
        await second.close()

    async with delivery(database, timeout_s=15.0).running(), another(), another():
        found = await ended(database)
    assert {(row.status, row.attempts) for row in found} == {(200, 1)}
    sent = Counter((one.path, one.headers["webhook-id"]) for one in told.received)
    assert len(sent) == 80
    assert set(sent.values()) == {1}


async def test_a_claim_runs_out_when_its_process_dies(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    await endpoint(webhooks, told.url("/ok"))
    await say(database)
    now = int(time.time())

    async def claimed(at: int) -> list[int]:
        async with database.session() as session:
            return [one.attempts for one in await claim(session, at, LEASE_S, 8, 8, Counter())]

    assert await claimed(now) == [1]
    assert await claimed(now + LEASE_S - 1) == []
    assert await claimed(now + LEASE_S) == [2]


async def test_who_comes_late_changes_nothing(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    """The first claim ran out, and another process delivered meanwhile."""
    await endpoint(webhooks, told.url("/ok"))
    await say(database)
    now = int(time.time())
    async with database.session() as session:
        (late,) = await claim(session, now, LEASE_S, 1, 1, Counter())
    async with database.session() as session:
        (second,) = await claim(session, now + LEASE_S, LEASE_S, 1, 1, Counter())
        await settle(session, second, Outcome(200), QUICK, now)
    async with database.session() as session:
        await settle(session, late, Outcome(410), QUICK, now)
    (row,) = await rows(database)
    assert row.status == 200
    async with database.session() as session:
        assert await session.scalar(select(WebhookEndpointRow.disabled_at)) is None


async def test_a_stop_in_the_middle_of_a_try_loses_nothing(
    database: Database, webhooks: Webhooks, told: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "GRACE_S", 0.1)
    await endpoint(webhooks, told.url("/slow"))
    (event_id,) = await say(database)
    async with delivery(database, timeout_s=10.0).running():
        await asyncio.to_thread(told.wait, "/slow")
    (row,) = await rows(database)
    assert (row.ended_at, row.attempts) == (None, 1)
    told.leaving.set()  # so that the next try is answered
    async with delivery(database, clock=lambda: time.time() + 10 + loop.LEASE_MARGIN_S).running():
        await asyncio.to_thread(told.wait, "/slow", 2)
    assert {one.headers["webhook-id"] for one in told.at("/slow")} == {event_id}


async def test_a_database_that_fails_for_a_while_stops_nothing(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    await endpoint(webhooks, told.url("/ok"))
    await say(database)
    async with database.session() as session:
        await session.execute(text("ALTER TABLE webhook_deliveries RENAME TO hidden"))
    async with delivery(database).running():
        await asyncio.sleep(0.2)
        assert told.received == []
        async with database.session() as session:
            await session.execute(text("ALTER TABLE hidden RENAME TO webhook_deliveries"))
        (row,) = await ended(database)
    assert row.status == 200


async def test_a_deleted_endpoint_is_told_nothing_more(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    made = await endpoint(webhooks, told.url("/ok"))
    await say(database)
    await webhooks.delete(None, DEFAULT_PROJECT, made)
    assert await rows(database) == []


async def test_what_is_over_is_forgotten_after_a_month(database: Database, webhooks: Webhooks, told: Receiver) -> None:
    await endpoint(webhooks, told.url("/ok"))
    await say(database, 3)
    positions = [row.position for row in await rows(database)]
    async with database.session() as session:
        await session.execute(update(WebhookDeliveryRow).where(WebhookDeliveryRow.position == positions[0]).values(ended_at=100))
        await session.execute(update(WebhookDeliveryRow).where(WebhookDeliveryRow.position == positions[1]).values(ended_at=200))
        await forget(session, 150)
    assert [row.position for row in await rows(database)] == positions[1:]


def test_pauses_grow_to_four_hours_and_end_after_three_days() -> None:
    backoff, now, pauses = Backoff(), 0, []
    while (again := backoff.next_at(0, len(pauses) + 1, now)) is not None:
        pauses.append(again - now)
        now = again
    assert 3 <= pauses[0] <= 7
    assert all(later > earlier for earlier, later in pairwise(pauses[:6]))
    assert all(0.7 * LONGEST_S <= pause <= 1.3 * LONGEST_S for pause in pauses[7:])
    assert 65 * 3600 < now <= 72 * 3600
    assert len({backoff.next_at(0, 9, 0) for _ in range(20)}) > 5
