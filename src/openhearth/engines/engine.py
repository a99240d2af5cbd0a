"""One engine as the pool sees it: its state, its slots and queue, its failures. Starts and stops nothing itself."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import msgspec

from openhearth.engines.contract import EngineSpec, RunningEngine
from openhearth.engines.queue import SlotQueue
from openhearth.errors import EngineFailed, EngineUnavailable, OpenHearthError

State = Literal["starting", "ready", "failed", "stopping"]

BACK_OFF_FIRST_S = 1.0
BACK_OFF_MOST_S = 60.0
STABLE_S = 60.0
"""An engine that lived so long has its earlier failures forgiven."""
SILENT_S = 60.0
"""So long, all clients together that left before the first word; then the engine is replaced."""
MEMORY_LASTS_S = 1.0


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `openhearth ps` and the metrics show."""

    id: str
    kind: str
    state: State
    pid: int | None
    slots: int
    in_use: int
    waiting: int
    memory_bytes: int
    restarts: int
    context: int | None
    idle_s: float | None
    last_error: str | None


class Engine:
    """`state` is None while it is not loaded and nothing is wrong."""

    def __init__(self, spec: EngineSpec, queue_limit: int) -> None:
        self.spec = spec
        self.queue = SlotQueue(queue_limit)
        self.running: RunningEngine | None = None
        self.state: State | None = None
        self.starting: asyncio.Task[None] | None = None
        self.watching: asyncio.Task[None] | None = None
        self.restarts = 0
        self.last_error: OpenHearthError | None = None
        self.idle_since = time.monotonic()
        self._ended: tuple[int, OpenHearthError] | None = None
        self._failures = 0
        self._silent_s = 0.0
        self._ready_at = 0.0
        self._retry_at = 0.0
        self._memory = 0
        self._memory_at = float("-inf")

    @property
    def idle(self) -> bool:
        return self.state == "ready" and not self.queue.in_use and not self.queue.waiting

    def waited_in_vain(self, seconds: float) -> bool:
        """A request was given up after so long without a word. Whether that has come too often: patient clients would call it hung."""
        self._silent_s += seconds
        return self._silent_s > SILENT_S

    def heard(self) -> None:
        """It computes."""
        self._silent_s = 0.0

    def opened(self, running: RunningEngine) -> None:
        """It answers."""
        self.running = running
        self.state = "ready"
        self.last_error = None
        self._silent_s = 0.0
        self._ready_at = self.idle_since = time.monotonic()
        self.queue.open(running.properties.slots)

    def gone(self, state: State | None) -> RunningEngine | None:
        """It is not to be used any more; what ran, for whoever stops it."""
        running, self.running = self.running, None
        if running is not None:
            failed = self.last_error if state == "failed" else None
            self._ended = (self.queue.generation, failed or EngineFailed(f"The engine of {self.spec.id} was stopped."))
        self.state = state
        self._memory_at = float("-inf")
        self.queue.shut()
        return running

    def failed(self, error: OpenHearthError, *, crashed: bool) -> None:
        """Note a failure. The first crash of a stable engine costs no wait, everything else does, longer each time."""
        now = time.monotonic()
        if crashed and now - self._ready_at > STABLE_S:
            self._failures = 0
        self._failures += 1
        self.restarts += crashed
        self.last_error = error
        steps = self._failures - 1 if crashed else self._failures
        self._retry_at = now + (min(BACK_OFF_MOST_S, BACK_OFF_FIRST_S * 2.0 ** (steps - 1)) if steps else 0.0)

    def ended(self, generation: int) -> OpenHearthError | None:
        """Why its life of this number ended; None: it hasn't, or nobody remembers."""
        return self._ended[1] if self._ended and self._ended[0] == generation else None

    def check_back_off(self) -> None:
        """Raises EngineUnavailable while it is too early to try again."""
        left = self._retry_at - time.monotonic()
        if left > 0 and self.last_error is not None:
            raise EngineUnavailable(self.last_error.message, headers={"retry-after": str(max(1, round(left)))})

    def memory_bytes(self) -> int:
        """What it holds, at most a second old; before it runs, and if it holds less, what it was estimated to need."""
        return max(self.spec.memory_bytes, self.resident_bytes())

    def resident_bytes(self) -> int:
        """What it holds, at most a second old."""
        now = time.monotonic()
        if now - self._memory_at > MEMORY_LASTS_S:
            self._memory = self.running.resident_bytes() if self.running else 0
            self._memory_at = now
        return self._memory

    def status(self) -> EngineStatus | None:
        """None: there is nothing to tell."""
        if self.state is None:
            return None
        properties = self.running.properties if self.running else None
        return EngineStatus(
            id=self.spec.id,
            kind=self.spec.kind,
            state=self.state,
            pid=getattr(self.running, "pid", None),
            slots=self.queue.slots,
            in_use=self.queue.in_use,
            waiting=self.queue.waiting,
            memory_bytes=self.resident_bytes(),
            restarts=self.restarts,
            context=properties.context if properties else None,
            idle_s=time.monotonic() - self.idle_since if self.idle else None,
            last_error=self.last_error.message if self.last_error else None,
        )
