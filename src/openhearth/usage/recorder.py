"""The gate that lets everything in and remembers what it used. Never waits; `writer` writes it down."""

from __future__ import annotations

import time
from collections.abc import Callable

from openhearth.accounts.principal import Principal
from openhearth.accounts.work import Settle, Usage, Work
from openhearth.usage.calendar import month_of
from openhearth.usage.cost import cost_of
from openhearth.usage.ledger import Ledger
from openhearth.usage.sums import Key, Sums

Clock = Callable[[], float]
"""The wall clock, Unix seconds. Only buckets follow it: a step moves later usage into other buckets, and loses or doubles none."""


class Recorder:
    """Sums of what was used since the last `take`."""

    def __init__(self, ledger: Ledger, clock: Clock = time.time) -> None:
        self._ledger = ledger
        self._clock = clock
        self._sums = Sums()

    async def admit(self, principal: Principal, work: Work) -> Settle:
        """Never refuses."""

        def settle(usage: Usage | None) -> None:
            if usage is not None:
                self.record(principal, work, usage)

        return settle

    def record(self, principal: Principal, work: Work, usage: Usage) -> None:
        """One request, at the prices that it was let in at. It is counted in the minute in which it ended."""
        now = int(self._clock())
        cost = cost_of(usage, work.price)
        key = Key(
            now,
            work.operation,
            principal.project_id,
            principal.owner_id,
            principal.key_id,
            work.model[:256],
            work.batch,
            work.service_tier[:32],
            work.detail[:64],
            work.source[:32],
        )
        self._sums.add(key, usage, cost)
        if cost.total:
            self._ledger.recorded(month_of(now), principal.project_id, cost.total)

    def __len__(self) -> int:
        return len(self._sums)

    def take(self) -> Sums:
        """All of it; the next begins at nothing."""
        taken, self._sums = self._sums, Sums()
        return taken
