"""Starts embedding engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from openhearth.engines.client import HttpClient
from openhearth.engines.contract import EngineProperties, EngineSpec
from openhearth.engines.process import start_child
from openhearth.engines.running import RunningChild
from openhearth.errors import EngineUnavailable

DEFAULT_SLOTS = 32
"""Requests that it works on at the same time; they share batches, so many cost nothing."""


class EmbeddingLauncher:
    """Options: `threads`, `slots`, `pooling` ("mean", "cls", "max"; default: what the folder says), `weights` ("onnx", "safetensors").

    Without `weights` it is ONNX where that is there.
    """

    def __init__(self, sockets: Path, *, threads: int, start_timeout_s: float = 120.0, stall_timeout_s: float = 120.0) -> None:
        self._sockets = sockets
        self._threads = threads
        self._start_timeout_s = start_timeout_s
        self._stall_timeout_s = stall_timeout_s

    async def start(self, spec: EngineSpec) -> RunningChild:
        """As the contract says. `spec.path` is the model's folder."""
        if spec.path is None or not spec.path.is_dir():
            raise EngineUnavailable(f"The folder of {spec.id} is gone: pull the model again.")
        child = await start_child(
            "openhearth.engines.embedding",
            self._config(spec, spec.path),
            name=spec.id,
            sockets=self._sockets,
            start_timeout_s=self._start_timeout_s,
            stall_timeout_s=self._stall_timeout_s,
        )
        try:
            return RunningChild(child, await _properties(child.client))
        except BaseException:
            await child.stop()
            raise

    def _config(self, spec: EngineSpec, folder: Path) -> dict[str, Any]:
        return {
            "id": spec.id,
            "path": str(folder),
            "threads": max(1, int(spec.options.get("threads") or self._threads)),
            "slots": max(1, int(spec.options.get("slots") or DEFAULT_SLOTS)),
            "weights": spec.options.get("weights"),
            "pooling": spec.options.get("pooling"),
        }


async def _properties(client: HttpClient) -> EngineProperties:
    told = msgspec.json.decode(await client.get("/props"))
    return EngineProperties(
        slots=int(told["total_slots"]),
        context=int(told["default_generation_settings"]["n_ctx"]),
        capabilities=frozenset({"embedding", "tokenize"}),
        vocabulary=int(told["n_vocab"]),
        dimensions=int(told["n_embd"]),
    )
