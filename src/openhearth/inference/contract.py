"""What every handler of this room works with. Batches, evals and responses will call the same functions with it, not HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from openhearth.accounts.principal import Principal
from openhearth.accounts.work import Gates, Operation, Usage, Work
from openhearth.engines.pool import Pool
from openhearth.inference.metering import Meter
from openhearth.models.resolve import Models, ResolvedModel

CHARACTERS_PER_TOKEN = 4
"""What estimates of a text's tokens go by, as OpenAI's rate limits do."""


class Count(Protocol):
    """The count of one request while it is answered."""

    @property
    def usage(self) -> Usage: ...
    @property
    def started(self) -> float: ...
    @property
    def first_token_s(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Inference:
    """The rooms below, as this one uses them: a name becomes a model, a model a leased engine, an answer a count."""

    models: Models
    pool: Pool
    meter: Meter
    gates: Gates

    @asynccontextmanager
    async def metered(
        self,
        principal: Principal,
        operation: Operation,
        model: ResolvedModel,
        count: Count,
        *,
        kind: str,
        characters: int,
        output_tokens: int | None = None,
    ) -> AsyncIterator[None]:
        """Let the work in at the gates, and count it on every way out, also for a client that left: with what was done until then.

        `kind` is the meter's word for the operation, `characters` the length of the input, `output_tokens` the most that was asked for.
        Raises what the gates raise.
        """
        work = Work(operation, model.id, -(-characters // CHARACTERS_PER_TOKEN), output_tokens or 0, model.price)
        settle = await self.gates.admit(principal, work)
        done = False
        try:
            yield
            done = True
        finally:
            usage = count.usage
            if done or usage.total_tokens:
                self.meter.record(kind, model.id, usage, duration_s=time.perf_counter() - count.started, first_token_s=count.first_token_s)
                settle(usage)
            else:
                settle(None)
