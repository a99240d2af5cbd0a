"""A running engine that is a child process of ours."""

from __future__ import annotations

from openhearth.engines.client import HttpClient
from openhearth.engines.contract import EngineProperties
from openhearth.engines.process import Child


class RunningChild:
    """The contract's `RunningEngine` over a child."""

    def __init__(self, child: Child, properties: EngineProperties) -> None:
        self._child = child
        self._properties = properties

    @property
    def properties(self) -> EngineProperties:
        return self._properties

    @property
    def client(self) -> HttpClient:
        return self._child.client

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def last_words(self) -> str:
        """The end of what it wrote to standard error."""
        return self._child.last_words

    async def exited(self) -> int:
        """Wait for its end."""
        return await self._child.exited()

    def resident_bytes(self) -> int:
        return self._child.resident_bytes()

    async def stop(self) -> None:
        await self._child.stop()
