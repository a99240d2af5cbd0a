"""The pool: starts engines at first use, hands out leases on their slots, unloads what is idle or in the way, replaces what crashed.

Knows nothing of models' names or of HTTP; what an engine is stands in `openhearth.engines.contract`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from openhearth.engines.client import ConnectionBroke
from openhearth.engines.contract import EngineClient, EngineKind, EngineProperties, EngineSpec, Launcher, RunningEngine
from openhearth.engines.engine import Engine, EngineStatus
from openhearth.engines.memory import Memory
from openhearth.errors import EngineFailed, EngineTimeout, EngineUnavailable, ModelNotFound, OpenHearthError
from openhearth.settings import EngineSettings

__all__ = ["EngineStatus", "Lease", "Pool"]

log = logging.getLogger(__name__)

UNLOAD_GRACE_S = 5.0
LONGEST_SWEEP_S = 5.0
DYING_S = 0.2
_LEFT = (asyncio.CancelledError, GeneratorExit)
STOPPING = "The server is stopping."


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to use `slots` slots of a running engine, until the context that gave it is left."""

    client: EngineClient
    properties: EngineProperties
    spec: EngineSpec
    slots: int


class Pool:
    """All engines of one server. Lives in one event loop."""

    def __init__(self, launchers: Mapping[EngineKind, Launcher], settings: EngineSettings, *, budget_bytes: int | None = None) -> None:
        self._launchers = launchers
        self._settings = settings
        self._engines: dict[str, Engine] = {}
        self._memory = Memory(self._engines, budget_bytes, self._stop)
        self._sweeping: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def acquire(self, spec: EngineSpec, *, slots: int = 1) -> Acquisition:
        """`async with pool.acquire(spec) as lease`. Starts the engine if need be and waits for free slots.

        Raises QueueFull, EngineUnavailable (it can't start, the server stops). An EngineTimeout that leaves the context makes the pool
        replace the engine: it hangs.
        """
        return Acquisition(self, self._engine(spec), slots)

    async def preload(self, spec: EngineSpec) -> None:
        """Start it now. Raises EngineUnavailable."""
        async with self.acquire(spec):
            pass

    async def unload(self, engine_id: str) -> None:
        """Stop it: when it is idle, at the latest after a grace; then its answers end with an error."""
        engine = self._engines.get(engine_id)
        if engine is None or engine.state is None:
            return
        deadline = time.monotonic() + UNLOAD_GRACE_S
        while (engine.queue.in_use or engine.starting) and time.monotonic() < deadline:
            await self._memory.released(deadline - time.monotonic())
        await self._stop(engine)

    def status(self) -> list[EngineStatus]:
        """The engines that run, start, or have failed."""
        return [status for engine in self._engines.values() if (status := engine.status())]

    async def close(self) -> None:
        """Stop everything; nothing can be acquired any more. Leaves no process."""
        self._closed = True
        if self._sweeping:
            self._sweeping.cancel()
        for engine in self._engines.values():
            engine.queue.fail(EngineUnavailable(STOPPING))
            if engine.starting:
                engine.starting.cancel()
        starting = [engine.starting for engine in self._engines.values() if engine.starting]
        await asyncio.gather(*starting, return_exceptions=True)
        await asyncio.gather(*(self._stop(engine) for engine in self._engines.values()))

    def _engine(self, spec: EngineSpec) -> Engine:
        engine = self._engines.get(spec.id)
        if engine is None:
            engine = self._engines[spec.id] = Engine(spec, self._settings.queue)
        elif engine.spec is not spec and engine.spec != spec:
            self._renew(engine, spec)
        return engine

    def _renew(self, engine: Engine, spec: EngineSpec) -> None:
        """The model changed under its name: what runs is stopped once it is idle, at once if it is."""
        if engine.state in (None, "failed"):
            engine.spec = spec
        elif engine.idle:
            engine.spec = spec
            self._discard(engine.gone(None))

    def ensure_started(self, engine: Engine) -> None:
        """Begin its start if it isn't there. Raises EngineUnavailable: closed, or too early after a failure."""
        if self._closed:
            raise EngineUnavailable(STOPPING)
        if engine.running is not None or engine.starting is not None:
            return
        engine.check_back_off()
        engine.state = "starting"
        engine.starting = asyncio.create_task(self._start(engine))
        if self._sweeping is None and self._settings.keep_alive_s >= 0:
            self._sweeping = asyncio.create_task(self._sweep())

    async def _start(self, engine: Engine) -> None:
        try:
            running = await self._launch(engine)
        except OpenHearthError as error:
            engine.state = "failed"
            engine.failed(error, crashed=False)
            engine.queue.fail(error)
        except BaseException:
            engine.state = None
            engine.queue.fail(EngineUnavailable(STOPPING if self._closed else "The engine could not be started."))
            raise
        else:
            engine.opened(running)
            engine.watching = asyncio.create_task(self._watch(engine, running))
        finally:
            engine.starting = None

    async def _launch(self, engine: Engine) -> RunningEngine:
        launcher = self._launchers.get(engine.spec.kind)
        if launcher is None:
            raise EngineUnavailable(f"{engine.spec.id} needs the engine '{engine.spec.kind}', which this server doesn't have.")
        await self._memory.make_room(engine, self._settings.start_timeout_s)
        try:
            async with asyncio.timeout(self._settings.start_timeout_s):
                return await launcher.start(engine.spec)
        except TimeoutError:
            seconds = self._settings.start_timeout_s
            raise EngineUnavailable(f"The engine of {engine.spec.id} did not start within {seconds:g} seconds.") from None

    async def _watch(self, engine: Engine, running: RunningEngine) -> None:
        await running.exited()
        if engine.running is running:
            words = getattr(running, "last_words", "")
            log.error("engine %s ended by itself; it is started again at its next request", engine.spec.id)
            self._fail(engine, EngineFailed(f"The engine of {engine.spec.id} ended by itself{': ' + words if words else '.'}"))

    async def suspect(self, engine: Engine) -> None:
        """A request failed in it. If its process is ending, wait for that, so that nobody is given slots of a dying one."""
        if engine.watching is not None and engine.spec.kind != "upstream":
            await asyncio.wait({engine.watching}, timeout=DYING_S)

    def reason(self, engine: Engine, generation: int) -> OpenHearthError | None:
        """Why a connection to that life of the engine broke. A new error each time: several requests may raise it."""
        if self._closed:
            return EngineUnavailable(STOPPING)
        ended = engine.ended(generation)
        return EngineFailed(ended.message) if ended else None

    def hung(self, engine: Engine, client: EngineClient) -> None:
        """It does not answer: stop it, if it is still the same."""
        if engine.running is not None and engine.running.client is client:
            log.error("engine %s does not answer; it is replaced", engine.spec.id)
            self._fail(engine, EngineFailed(f"The engine of {engine.spec.id} did not answer."))

    def _fail(self, engine: Engine, error: OpenHearthError) -> None:
        engine.failed(error, crashed=True)
        self._discard(engine.gone("failed"))
        if engine.queue.waiting:
            try:
                self.ensure_started(engine)
            except EngineUnavailable as unavailable:
                engine.queue.fail(unavailable)

    def _discard(self, running: RunningEngine | None) -> None:
        if running is not None:
            task = asyncio.create_task(running.stop())
            self._memory.stopping.add(task)
            task.add_done_callback(self._memory.stopping.discard)

    async def _stop(self, engine: Engine) -> None:
        running = engine.gone("stopping")
        if engine.watching:
            engine.watching.cancel()
        if running is not None:
            await running.stop()
        await asyncio.gather(*self._memory.stopping, return_exceptions=True)
        if engine.state == "stopping":
            engine.state = None
        if engine.queue.waiting and not self._closed:
            self.ensure_started(engine)
        self._memory.notify()

    def given_back(self, engine: Engine) -> None:
        """Slots came back."""
        if not engine.queue.in_use:
            engine.idle_since = time.monotonic()
            self._memory.notify()

    def missing(self, engine: Engine) -> None:
        """The server that should have the model hasn't it: nothing of it is shown or counted any more."""
        if engine.idle:
            if engine.watching:
                engine.watching.cancel()
            self._discard(engine.gone(None))

    async def _sweep(self) -> None:
        """Unload what was idle for longer than the keep-alive."""
        keep_alive_s = self._settings.keep_alive_s
        while True:
            await asyncio.sleep(max(0.05, min(LONGEST_SWEEP_S, keep_alive_s / 4)))
            now = time.monotonic()
            for engine in list(self._engines.values()):
                if engine.idle and engine.spec.kind != "upstream" and now - engine.idle_since > keep_alive_s:
                    log.info("engine %s was idle for %.0f s and is unloaded", engine.spec.id, keep_alive_s)
                    await self._stop(engine)


class Acquisition:
    """One `acquire`: enters with a lease, gives it back on every way out."""

    __slots__ = ("_computed", "_engine", "_generation", "_granted", "_lease", "_pool", "_started", "_wanted")

    def __init__(self, pool: Pool, engine: Engine, wanted: int) -> None:
        self._pool = pool
        self._engine = engine
        self._wanted = max(1, wanted)
        self._granted = 0

    async def __aenter__(self) -> Lease:
        engine = self._engine
        self._generation = engine.queue.generation
        self._granted = engine.queue.take(self._wanted)
        # The engine may die between the moment that it is this request's turn and the moment that it runs on.
        while not self._granted or self._generation != engine.queue.generation or engine.running is None:
            self._pool.ensure_started(engine)
            self._granted, self._generation = await engine.queue.wait(self._wanted, engine.spec.id)
        self._started = time.monotonic()
        self._computed = _computed(engine.running.client)
        self._lease = Lease(engine.running.client, engine.running.properties, engine.spec, self._granted)
        return self._lease

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        engine = self._engine
        try:
            if isinstance(error, EngineTimeout):
                self._pool.hung(engine, self._lease.client)
            elif isinstance(error, EngineFailed):
                await self._pool.suspect(engine)
                if isinstance(error, ConnectionBroke) and (reason := self._pool.reason(engine, self._generation)):
                    raise reason from None
            elif _computed(self._lease.client) != self._computed:
                engine.heard()
            elif engine.spec.kind != "upstream" and isinstance(error, _LEFT) and engine.waited_in_vain(time.monotonic() - self._started):
                self._pool.hung(engine, self._lease.client)
        finally:
            engine.queue.give_back(self._granted, self._generation, time.monotonic() - self._started)
            self._pool.given_back(engine)
            if isinstance(error, ModelNotFound):
                self._pool.missing(engine)


def _computed(client: EngineClient) -> int:
    """How much it has computed; an upstream server, which is not ours to replace, doesn't say."""
    return int(getattr(client, "computed", 0))
