"""Deliveries that are due: claimed for a while by one process, then settled. Any number of processes may do this on one database.

A claim raises `attempts` and sets `next_at` behind the longest try: if this process dies, the delivery comes again by itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from sqlalchemy import CursorResult, Select, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.webhooks.backoff import Backoff
from openhearth.webhooks.sending import Outcome
from openhearth.webhooks.tables import WebhookDeliveryRow, WebhookEndpointRow

GONE: Final = 410
REST_S: Final = 60
"""Who gave no answer isn't asked about other events for so long, at most."""

Row = WebhookDeliveryRow
Endpoint = WebhookEndpointRow


@dataclass(frozen=True, slots=True)
class Claim:
    """One try that is this process's to make. `keys`: to sign with."""

    position: int
    attempts: int
    endpoint_id: str
    event_id: str
    body: str
    created_at: int
    url: str
    keys: tuple[str, ...]


async def claim(session: AsyncSession, now: int, lease_s: int, room: int, each: int, busy: Counter[str]) -> list[Claim]:
    """At most `room` tries that are due, at most `each` for one endpoint with those of `busy`, which are on their way already.

    They are the caller's for `lease_s`, which must be more than a try takes.
    """
    taken: list[Claim] = []
    running = busy.copy()
    while len(taken) < room:
        full = [endpoint_id for endpoint_id, number in running.items() if number >= each]
        found = (await session.execute(_due(now, full, room - len(taken), [one.position for one in taken]))).all()
        if not found:
            break
        for row, endpoint in found:
            if running[endpoint.id] < each:
                running[endpoint.id] += 1
                taken.append(_claim(row, endpoint, now))
    return [one for one in taken if await _lease(session, one, now + lease_s)]


def _due(now: int, full: list[str], number: int, taken: list[int]) -> Select[Row, Endpoint]:
    query = select(Row, Endpoint).join(Endpoint, Endpoint.id == Row.endpoint_id)
    query = query.where(Row.ended_at.is_(None), Row.next_at <= now, Row.endpoint_id.not_in(full), Row.position.not_in(taken))
    return query.order_by(Row.next_at, Row.position).limit(number).with_for_update(of=Row, skip_locked=True)


def _claim(row: Row, endpoint: Endpoint, now: int) -> Claim:
    keys = [endpoint.secret]
    if endpoint.old_secret is not None and (endpoint.old_secret_until or 0) > now:
        keys.append(endpoint.old_secret)
    return Claim(row.position, row.attempts + 1, row.endpoint_id, row.event_id, row.body, row.created_at, endpoint.url, tuple(keys))


async def _lease(session: AsyncSession, one: Claim, until: int) -> bool:
    """Whether nobody else was quicker: SQLite knows no FOR UPDATE."""
    mine = update(Row).where(Row.position == one.position, Row.attempts == one.attempts - 1, Row.ended_at.is_(None))
    return await _changed(session, mine.values(attempts=one.attempts, next_at=until)) == 1


async def settle(session: AsyncSession, one: Claim, outcome: Outcome, backoff: Backoff, now: float) -> None:
    """Write down what became of a try, unless the claim has passed to another meanwhile."""
    mine = update(Row).where(Row.position == one.position, Row.attempts == one.attempts, Row.ended_at.is_(None))
    mine = mine.values(status=outcome.status, failure=outcome.failure)
    gone = outcome.status == GONE
    again = None if outcome.delivered or gone else backoff.next_at(one.created_at, one.attempts, now)
    mine = mine.values(ended_at=int(now)) if again is None else mine.values(next_at=again)
    if await _changed(session, mine) == 0:
        return
    if gone:
        await _disable(session, one.endpoint_id, int(now))
    elif outcome.status == 0 and again is not None:
        await _rest(session, one.endpoint_id, int(now), min(again, int(now) + REST_S))


async def _disable(session: AsyncSession, endpoint_id: str, now: int) -> None:
    await session.execute(update(Endpoint).where(Endpoint.id == endpoint_id).values(disabled_at=now))
    await session.execute(update(Row).where(Row.endpoint_id == endpoint_id, Row.ended_at.is_(None)).values(ended_at=now, status=GONE))


async def _rest(session: AsyncSession, endpoint_id: str, now: int, until: int) -> None:
    """Waiting for who doesn't answer takes room from others."""
    waiting = update(Row).where(Row.endpoint_id == endpoint_id, Row.ended_at.is_(None), Row.next_at <= now)
    await session.execute(waiting.values(next_at=until))


async def forget(session: AsyncSession, before: int) -> None:
    """Delete what ended before then."""
    await session.execute(delete(Row).where(Row.ended_at < before))


async def _changed(session: AsyncSession, statement: object) -> int:
    result = await session.execute(statement)  # type: ignore[call-overload]
    assert isinstance(result, CursorResult)  # noqa: S101 - an UPDATE's always is
    return result.rowcount
