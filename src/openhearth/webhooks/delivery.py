"""The background loop that sends what is due, several at a time, and survives a database that doesn't answer for a while."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from openhearth.errors import StorageUnavailable
from openhearth.store.database import Database
from openhearth.webhooks.backoff import Backoff
from openhearth.webhooks.claims import Claim, claim, forget, settle
from openhearth.webhooks.sending import Outcome, Sender

log = logging.getLogger(__name__)

POLL_S: Final = 1.0
AT_ONCE: Final = 32
AT_ONCE_EACH: Final = 2
GRACE_S: Final = 2.0
"""How long a clean stop waits for tries on their way. What is cut off is tried again."""
LEASE_MARGIN_S: Final = 10
"""A try whose process died is made again so long after it would have ended."""
SETTLE_TRIES: Final = 5
KEPT_S: Final = 30 * 86400
TIDY_S: Final = 3600.0


class Delivery:
    """The deliveries of one process. `clock` gives Unix seconds."""

    def __init__(self, database: Database, sender: Sender, backoff: Backoff, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._sender = sender
        self._lease_s = math.ceil(sender.timeout_s) + LEASE_MARGIN_S
        self._backoff = backoff
        self._clock = clock
        self._tries: set[asyncio.Task[None]] = set()
        self._busy = Counter[str]()
        self._freed = asyncio.Event()
        self._tidied_at = float("-inf")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver for as long as this is open."""
        loop = asyncio.create_task(self._run())
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            if self._tries:
                await asyncio.wait(self._tries, timeout=GRACE_S)
            for one in self._tries:
                one.cancel()
            await asyncio.gather(*self._tries, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                begun = await self.begin_due()
                await self._tidy()
            except StorageUnavailable:
                log.warning("webhooks: the database can't be read now; trying again")
                begun = 0
            except Exception:
                log.exception("webhooks: the delivery loop failed; going on")
                begun = 0
            if not begun:
                await self._pause()

    async def _pause(self) -> None:
        self._freed.clear()
        try:
            async with asyncio.timeout(POLL_S):
                await self._freed.wait()
        except TimeoutError:
            return

    async def begin_due(self) -> int:
        """Start what is due and has room; how many."""
        room = AT_ONCE - len(self._tries)
        if room <= 0:
            return 0
        async with self._database.session() as session:
            claims = await claim(session, int(self._clock()), self._lease_s, room, AT_ONCE_EACH, self._busy)
        for one in claims:
            self._begin(one)
        return len(claims)

    def _begin(self, one: Claim) -> None:
        self._busy[one.endpoint_id] += 1
        task = asyncio.create_task(self._try(one))
        self._tries.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tries.discard(task)
            self._busy[one.endpoint_id] -= 1
            if not self._busy[one.endpoint_id]:
                del self._busy[one.endpoint_id]
            self._freed.set()
            if not task.cancelled() and task.exception() is not None:
                log.error("webhooks: a delivery to %s failed on our side", one.endpoint_id, exc_info=task.exception())

        task.add_done_callback(ended)

    async def _try(self, one: Claim) -> None:
        outcome = await self._sender.send(one.url, one.keys, one.event_id, one.body)
        if not outcome.delivered:
            log.info(
                "webhooks: %s was not delivered to %s (try %d): %s",
                one.event_id, one.endpoint_id, one.attempts, outcome.failure or outcome.status,
            )  # fmt: skip
        await self._settle(one, outcome)

    async def _settle(self, one: Claim, outcome: Outcome) -> None:
        """Raises StorageUnavailable if the database stays away: then the claim runs out and the event comes again."""
        for number in range(SETTLE_TRIES):
            try:
                async with self._database.session() as session:
                    await settle(session, one, outcome, self._backoff, self._clock())
                return
            except StorageUnavailable:
                if number == SETTLE_TRIES - 1:
                    raise
                await asyncio.sleep(POLL_S)

    async def _tidy(self) -> None:
        if time.monotonic() - self._tidied_at < TIDY_S:
            return
        async with self._database.session() as session:
            await forget(session, int(self._clock()) - KEPT_S)
        self._tidied_at = time.monotonic()
