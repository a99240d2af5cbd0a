"""The embedded engine: llama.cpp (through xllamacpp) in a child process, one model each, on a unix socket with a random key.

Run as a module it is the child; it opens no TCP port, and none of llama.cpp's pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from openhearth.engines.client import HttpClient
from openhearth.engines.contract import Capability, EngineProperties, EngineSpec
from openhearth.engines.process import start_child
from openhearth.engines.running import RunningChild
from openhearth.errors import EngineUnavailable

ALL_LAYERS = 999
PROMPT_CACHE_MB = 256
BATCH_TOKENS = 256
"""Tokens of a prompt computed in one go. Between two of them the engine looks after other requests, and after those that were given up."""


class Defaults(msgspec.Struct, frozen=True):
    """What the machine suggests where neither the spec nor the owner says otherwise."""

    slots: int
    threads: int
    context: int
    gpu_layers: int = ALL_LAYERS


class LlamaLauncher:
    """Options: `context` (per slot), `slots`, `threads`, `gpu_layers`, `embedding`, `pooling`, `capabilities`."""

    def __init__(self, sockets: Path, defaults: Defaults, *, start_timeout_s: float = 120.0, stall_timeout_s: float = 120.0) -> None:
        self._sockets = sockets
        self._defaults = defaults
        self._start_timeout_s = start_timeout_s
        self._stall_timeout_s = stall_timeout_s

    async def start(self, spec: EngineSpec) -> RunningChild:
        """As the contract says."""
        if spec.path is None or not spec.path.is_file():
            raise EngineUnavailable(f"The file of {spec.id} is gone: pull the model again.")
        child = await start_child(
            "openhearth.engines.llama",
            {"path": str(spec.path), **self._numbers(spec.options)},
            name=spec.id,
            sockets=self._sockets,
            start_timeout_s=self._start_timeout_s,
            stall_timeout_s=self._stall_timeout_s,
            # llama.cpp closes kept connections when it likes, and each takes one of its threads.
            keeps_connections=False,
        )
        try:
            return RunningChild(child, await _properties(child.client, spec.options))
        except BaseException:
            await child.stop()
            raise

    def _numbers(self, options: Mapping[str, Any]) -> dict[str, Any]:
        slots = int(options.get("slots") or self._defaults.slots)
        context = int(options.get("context") or self._defaults.context)
        return {
            "slots": slots,
            "context": context * slots,
            "threads": int(options.get("threads") or self._defaults.threads),
            "gpu_layers": int(options["gpu_layers"] if options.get("gpu_layers") is not None else self._defaults.gpu_layers),
            "embedding": _embeds(options),
            "pooling": options.get("pooling"),
        }


async def _properties(client: HttpClient, options: Mapping[str, Any]) -> EngineProperties:
    told = msgspec.json.decode(await client.get("/props"))
    models = msgspec.json.decode(await client.get("/v1/models"))
    meta = (models.get("data") or [{}])[0].get("meta") or {}
    return EngineProperties(
        slots=int(told["total_slots"]),
        context=int(told["default_generation_settings"]["n_ctx"]),
        capabilities=_capabilities(options),
        vocabulary=int(meta["n_vocab"]) if "n_vocab" in meta else None,
        template_capabilities=dict(told.get("chat_template_caps") or {}),
        dimensions=int(meta["n_embd"]) if _embeds(options) and "n_embd" in meta else None,
    )


def _embeds(options: Mapping[str, Any]) -> bool:
    return bool(options.get("embedding")) or options.get("task") == "embedding"


def _capabilities(options: Mapping[str, Any]) -> frozenset[Capability]:
    if _embeds(options):
        return frozenset({"embedding", "tokenize"})
    return frozenset({"chat", "completion", "tokenize", *(options.get("capabilities") or ())})


def main() -> None:
    """The child: serve until the parent ends it or itself ends."""
    import signal

    from openhearth.engines.child import read_config

    config = read_config()
    import xllamacpp

    server = xllamacpp.Server(_parameters(xllamacpp.CommonParams(), config))
    # SIGTERM's own action ends the process; llama.cpp's server has nothing to save.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pause()
    del server


def _parameters(p: Any, config: Mapping[str, Any]) -> Any:
    p.model.path = config["path"]
    p.hostnames = [config["socket"]]
    p.api_keys = [config["key"]]
    p.n_parallel = config["slots"]
    p.n_ctx = config["context"]
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = config["threads"]
    p.n_gpu_layers = config["gpu_layers"]
    p.kv_unified = False
    p.n_batch = p.n_ubatch = BATCH_TOKENS
    p.cache_ram_mib = PROMPT_CACHE_MB
    # As at OpenAI, an assistant's message at the end is a finished one.
    p.prefill_assistant = False
    p.warmup = p.ui = p.endpoint_slots = False
    p.verbosity = -1
    if config["embedding"]:
        _embed(p, config)
    return p


def _embed(p: Any, config: Mapping[str, Any]) -> None:
    slots, context = config["slots"], config["context"] // config["slots"]
    p.embedding = True
    if config["pooling"]:
        p.pooling_type = type(p.pooling_type)[f"LLAMA_POOLING_TYPE_{config['pooling'].upper()}"]
    # With a cache for each slot, a batch is cut where its shortest input ends, and the mean is of the last piece only.
    p.kv_unified = True
    p.kv_unified_per_slot = context
    # An input is embedded in one piece, so one of the whole context must fit. No multiple of the slots: llama.cpp aborts at its start.
    p.n_batch = p.n_ubatch = -(-context // slots) * slots


if __name__ == "__main__":
    main()
