"""The gate of rate limits: requests and tokens of each project and model, per minute and per day, over all processes on one database.

A request is served from what this process holds in advance, without the database; more is fetched in the background, and at the end of a
bucket the last of it at once. What isn't used goes back after a second, and when the server stops. Without a database a process serves from
what it holds for at most `buckets.VALID_S`. Then limits that somebody has set refuse with StorageUnavailable, since nobody can count; those
that the program ships with step aside.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from openhearth.accounts.access import AccessTable
from openhearth.accounts.principal import Principal
from openhearth.accounts.work import Settle, Usage, Work
from openhearth.errors import RateLimited, StorageUnavailable
from openhearth.limits.allowance import Allowances
from openhearth.limits.buckets import Offer
from openhearth.limits.lane import Lane, Need
from openhearth.limits.ledger import Key, Ledger
from openhearth.settings import LimitSettings
from openhearth.store.database import Database

log = logging.getLogger(__name__)

IDLE_S = 1.0
"""What wasn't asked for so long goes back."""
SWEEP_S = 0.25
PATIENCE_S = 1.0
"""So long one request waits for the database where nobody has set a limit. After that none does, until the database answers again."""


def steady() -> float:
    """Seconds that no change of the wall clock moves, and that go on while the machine sleeps, where the system has such a clock."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class RateLimits:
    """All rate limits, of one process. `running` must be entered for what isn't used to go back."""

    def __init__(self, database: Database, access: AccessTable, defaults: LimitSettings, *, clock: Callable[[], float] = steady) -> None:
        self._allowances = Allowances(database, access, defaults)
        self._database = database
        self._ledger = Ledger(database, secrets.token_hex(6))
        self._clock = clock
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._active: set[Lane] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._away = False
        self._trying: asyncio.Task[None] | None = None

    async def admit(self, principal: Principal, work: Work) -> Settle:
        """Raises RateLimited, StorageUnavailable. Also tells the sender what is left. The guard has just brought `access` up to date."""
        if self._allowances.stale:
            await self._allowances.refresh()
        lane = self._lane(principal.project_id, work.model)
        tokens = work.expected_input + work.expected_output
        now = self._clock()
        try:
            while not lane.take(tokens, now):
                if not await self._fetch(lane, tokens, principal):
                    return _nothing
                now = self._clock()
        except RateLimited:
            lane.tick(now)
            principal.notices.update(lane.headers())
            raise
        principal.notices.update(lane.headers())
        self._active.add(lane)
        if not lane.topping_up and lane.low(now):
            lane.topping_up = True
            self._spawn(self._top_up(lane))

        def settle(usage: Usage | None) -> None:
            lane.settle(tokens, usage, self._clock())
            self._active.add(lane)

        return settle

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RateLimits]:
        """Give back what isn't used, as long as this lasts, and all of it at the end."""
        sweeping = asyncio.create_task(self._sweep())
        try:
            yield self
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, *self._tasks, return_exceptions=True)
            for lane in list(self._active):
                await self._quietly(self._give_back(lane))

    def _lane(self, project_id: str, model: str) -> Lane:
        """With the limits in force."""
        version = self._allowances.version
        lane = self._lanes.get((project_id, model))
        if lane is None:
            lane = self._lanes[project_id, model] = Lane(project_id, model, self._allowances.of(project_id, model), version)
        elif lane.version != version:
            lane.version = version
            lane.resize(self._allowances.of(project_id, model))
        return lane

    async def _fetch(self, lane: Lane, tokens: int, principal: Principal) -> bool:
        """Hold enough for one request, or raise. Somebody else may be quicker to take it.

        False: nobody can count, and nobody has set a limit.
        """
        now = self._clock()
        lane.check(lane.lacking(tokens, now), now, principal)
        if lane.chosen:
            # A client that leaves must not leave an exchange half done.
            await asyncio.shield(self._spawn(self._fetched(lane, tokens, principal)))
            return True
        if self._away or self._database.silent:
            if self._trying is None or self._trying.done():
                self._trying = self._spawn(self._fetched(lane, tokens, principal))
            return False
        fetching = self._spawn(self._fetched(lane, tokens, principal))
        await asyncio.wait({fetching}, timeout=PATIENCE_S)
        with suppress(StorageUnavailable):
            if fetching.done():
                fetching.result()
                return True
        self._away = True
        return False

    async def _fetched(self, lane: Lane, tokens: int, principal: Principal) -> None:
        failures = lane.failures
        async with lane.lock:
            if lane.failures != failures:
                # Else those who wait for the lock would wait for the database one after the other.
                raise StorageUnavailable("The rate limits can't be counted now. Try again.")
            now = self._clock()
            lacking = lane.lacking(tokens, now)
            lane.check(lacking, now, principal)
            if lacking:
                await self._exchange(lane, lacking)
                self._active.add(lane)
                now = self._clock()
                lane.check(lane.lacking(tokens, now), now, principal)

    async def _top_up(self, lane: Lane) -> None:
        async with lane.lock:
            low = lane.low(self._clock())
            lane.topping_up = False
            await self._quietly(self._exchange(lane, [(kind, one, 0) for kind, one in lane.holdings.items() if one in low]))

    async def _give_back(self, lane: Lane) -> None:
        async with lane.lock:
            dirty: list[Need] = [(kind, one, 0) for kind, one in lane.holdings.items() if one.dirty]
            await self._exchange(lane, dirty, keeps=False)
            if not any(one.dirty for one in lane.holdings.values()):
                self._active.discard(lane)

    async def _exchange(self, lane: Lane, needs: Iterable[Need], *, keeps: bool = True) -> None:
        """Under the lane's lock only. Raises StorageUnavailable."""
        began = self._clock()
        offers: dict[Key, Offer] = {}
        holdings = {}
        for kind, holding, need in needs:
            want = max(need, holding.lease) if keeps else 0
            offers[lane.key(kind)] = holding.offer(began, need=need, want=want, keeps=keeps)
            holdings[lane.key(kind)] = holding
        try:
            outcomes = await self._ledger.exchange(offers) if offers else {}
        except BaseException:
            lane.failures += 1
            for holding in holdings.values():
                holding.failed()
            raise
        self._away = self._away and not offers
        now = self._clock()
        for key, outcome in outcomes.items():
            holdings[key].closed(outcome, began, now)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self._clock()
            for lane in [lane for lane in self._active if now - lane.used_at >= IDLE_S]:
                await self._quietly(self._give_back(lane))

    async def _quietly(self, act: Coroutine[Any, Any, None]) -> None:
        """What nobody waits for may fail; it is tried again."""
        try:
            await act
        except Exception as error:
            log.warning("rate limits could not be brought up to date: %s", type(error).__name__)

    def _spawn(self, act: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            task.exception()  # whoever waited for it has it; if they left, nobody misses it


def _nothing(_usage: Usage | None) -> None:
    """There is nothing to settle."""
