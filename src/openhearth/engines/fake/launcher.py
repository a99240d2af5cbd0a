"""Starts the fake engine."""

from __future__ import annotations

from pathlib import Path

from openhearth.engines.contract import Capability, EngineProperties, EngineSpec
from openhearth.engines.process import Child, start_child
from openhearth.engines.running import RunningChild

DEFAULT_SLOTS = 8
DEFAULT_CONTEXT = 4096
DIMENSIONS = 16
VOCABULARY = 2**20


class FakeLauncher:
    """Options: `slots`, `context`, `task` ("chat" or "embedding"), `capabilities`, `start_delay_s`, `directives`.

    The last are what every prompt is taken to say first, as `directives` describes them.
    """

    def __init__(self, sockets: Path, *, slots: int | None = None, start_timeout_s: float = 30.0, stall_timeout_s: float = 30.0) -> None:
        self._sockets = sockets
        self._slots = slots or DEFAULT_SLOTS
        self._start_timeout_s = start_timeout_s
        self._stall_timeout_s = stall_timeout_s

    async def start(self, spec: EngineSpec) -> RunningChild:
        """As the contract says."""
        slots = int(spec.options.get("slots") or self._slots)
        context = int(spec.options.get("context") or DEFAULT_CONTEXT)
        child: Child = await start_child(
            "openhearth.engines.fake",
            {
                "id": spec.id,
                "slots": slots,
                "context": context,
                "start_delay_s": spec.options.get("start_delay_s", 0),
                "directives": spec.options.get("directives", ""),
            },
            name=spec.id,
            sockets=self._sockets,
            start_timeout_s=self._start_timeout_s,
            stall_timeout_s=self._stall_timeout_s,
        )
        if spec.options.get("task") == "embedding":
            capabilities: frozenset[Capability] = frozenset({"embedding", "tokenize"})
        else:
            capabilities = frozenset(spec.options.get("capabilities") or ("chat", "completion", "infill", "tools", "tokenize"))
        return RunningChild(
            child,
            EngineProperties(
                slots=slots,
                context=context,
                capabilities=capabilities,
                vocabulary=VOCABULARY,
                template_capabilities={"supports_tools": "tools" in capabilities, "supports_system_role": True},
                dimensions=DIMENSIONS,
            ),
        )
