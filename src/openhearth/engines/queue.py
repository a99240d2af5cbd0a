"""The slots of one engine, and those who wait for them: first come, first served, and a bounded number of them."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from openhearth.errors import OpenHearthError, QueueFull

SMOOTHING = 0.2


class SlotQueue:
    """Hands out slots in the order of asking. A big wish is not overtaken by smaller ones, so it is not starved."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[tuple[asyncio.Future[tuple[int, int]], int]] = deque()
        self.slots = 0
        self.in_use = 0
        self.generation = 0
        """Counts the engine's lives: slots of an earlier one are not given back to a later."""
        self._typical_s = 2.0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def take(self, wanted: int) -> int:
        """Slots at once, or 0 if there is a queue or not enough is free. A wish above all slots is cut to them."""
        granted = min(wanted, self.slots)
        if self._waiting or not granted or self.in_use + granted > self.slots:
            return 0
        self.in_use += granted
        return granted

    async def wait(self, wanted: int, model: str) -> tuple[int, int]:
        """Slots in one's turn, and the generation that they are of. Raises QueueFull, or what `fail` was given."""
        if len(self._waiting) >= self._limit:
            retry_after_s = self._typical_s * (len(self._waiting) + 1) / max(1, self.slots)
            raise QueueFull(
                f"{len(self._waiting)} requests already wait for {model}. Try again later, or raise engines.queue.",
                retry_after_s=min(60.0, retry_after_s),
            )
        turn: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        entry = (turn, wanted)
        self._waiting.append(entry)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back(*turn.result())
            else:
                # `fail` and `serve` may have taken it out already.
                with suppress(ValueError):
                    self._waiting.remove(entry)
                self.serve()
            raise

    def open(self, slots: int) -> None:
        """The engine is there, with so many slots."""
        self.slots = slots
        self.serve()

    def shut(self) -> None:
        """The engine is gone; those who wait go on waiting."""
        self.slots = self.in_use = 0
        self.generation += 1

    def fail(self, error: OpenHearthError) -> None:
        """Send all who wait away."""
        while self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)

    def give_back(self, slots: int, generation: int, held_s: float | None = None) -> None:
        """Slots come back; `held_s` feeds the estimate for those who are sent away."""
        if generation != self.generation:
            return
        self.in_use -= slots
        if held_s is not None:
            self._typical_s += SMOOTHING * (held_s - self._typical_s)
        self.serve()

    def serve(self) -> None:
        """Give what is free to those in front."""
        while self._waiting:
            turn, wanted = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
                continue
            granted = min(wanted, self.slots)
            if not granted or self.in_use + granted > self.slots:
                return
            self._waiting.popleft()
            self.in_use += granted
            turn.set_result((granted, self.generation))
