"""The memory that all engines share: room is made by unloading the least recently used one that is idle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from openhearth.engines.engine import Engine
from openhearth.errors import EngineUnavailable

MIB = 2**20


class Memory:
    """Admits one engine at a time. Without a budget everything is admitted."""

    def __init__(self, engines: Mapping[str, Engine], budget_bytes: int | None, stop: Callable[[Engine], Awaitable[None]]) -> None:
        self._engines = engines
        self._budget = budget_bytes
        self._stop = stop
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self.stopping: set[asyncio.Task[None]] = set()
        """Ends of engines that were given up; their memory is still taken."""

    async def make_room(self, engine: Engine, timeout_s: float) -> None:
        """Return when the engine fits. Raises EngineUnavailable with the numbers."""
        needed = engine.spec.memory_bytes
        if self._budget is None or not needed:
            return
        if needed > self._budget:
            raise EngineUnavailable(
                f"{engine.spec.id} needs about {needed // MIB} MiB; all engines together may use {self._budget // MIB} MiB. "
                "Choose a smaller model or less context, or raise engines.memory_budget_mb."
            )
        deadline = time.monotonic() + timeout_s
        async with self._turn:
            while (used := self._used(engine)) + needed > self._budget:
                await self._free_some(engine, needed, used, deadline)

    async def _free_some(self, engine: Engine, needed: int, used: int, deadline: float) -> None:
        idle = [other for other in self._engines.values() if other.idle and other.memory_bytes()]
        if idle:
            await self._stop(min(idle, key=lambda other: other.idle_since))
        elif not await self.released(deadline - time.monotonic()):
            loaded = ", ".join(
                o.spec.id for o in self._engines.values() if o is not engine and o.state not in (None, "failed") and o.memory_bytes()
            )
            raise EngineUnavailable(
                f"{engine.spec.id} needs about {needed // MIB} MiB, but {used // MIB} of {self._budget_mib} MiB are taken by {loaded}, "
                "which are in use. Try again later, or raise engines.memory_budget_mb.",
                headers={"retry-after": "10"},
            )

    @property
    def _budget_mib(self) -> int:
        return (self._budget or 0) // MIB

    def _used(self, engine: Engine) -> int:
        return sum(other.memory_bytes() for other in self._engines.values() if other is not engine and other.state not in (None, "failed"))

    async def released(self, timeout_s: float) -> bool:
        """Wait for an engine to become idle or to end; False if none did in time."""
        self._changed.clear()
        try:
            # Not `wait_for`, which forgets a cancellation that comes together with what it waits for.
            async with asyncio.timeout(max(0.0, timeout_s)):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def notify(self) -> None:
        """An engine became idle or ended."""
        self._changed.set()
