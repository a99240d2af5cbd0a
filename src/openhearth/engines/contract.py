"""What the house knows about an engine: a process that speaks OpenAI's wire on an address of its own.

An `EngineSpec` says what to run; a `Launcher` (one per kind) makes it run and returns a `RunningEngine`; the pool owns those and
hands out leases. Nobody above this room starts a process or opens a socket to one.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from openhearth import __version__

EngineKind = Literal["llama", "embedding", "upstream", "fake"]
Capability = Literal["chat", "completion", "embedding", "infill", "tools", "reasoning", "tokenize"]


@dataclass(frozen=True)
class EngineSpec:
    """One model and how to run it. Two equal ids are the same engine."""

    id: str
    """The model's real name, as replies give it: `smollm2:135m`."""
    kind: EngineKind
    path: Path | None = None
    """The model's main file (GGUF) or folder (embedding)."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Per kind: `context`, `slots`, `threads`, `gpu_layers`, `pooling`; upstream: `base_url`, `api_key`, `model`."""
    memory_bytes: int = 0
    """What it will need when running, estimated before loading."""

    @cached_property
    def digest(self) -> str:
        """Ten hexadecimal digits that change with our version, the model's file or how it is run. No key goes into it."""
        options = sorted((name, repr(value)) for name, value in self.options.items() if name != "api_key")
        parts = (__version__, self.id, self.kind, str(self.path), repr(options))
        return hashlib.blake2b("\0".join(parts).encode(), digest_size=5).hexdigest()


@dataclass(frozen=True)
class EngineProperties:
    """What a running engine said of itself when it became ready."""

    slots: int
    context: int | None
    """Tokens per slot, prompt and answer together. None: unknown (upstream)."""
    capabilities: frozenset[Capability]
    vocabulary: int | None = None
    """Number of token ids."""
    template_capabilities: Mapping[str, bool] = field(default_factory=dict)
    """What the chat template knows (llama: `/props` `chat_template_caps`), e.g. `supports_tools`, `supports_system_role`."""
    dimensions: int | None = None
    """Length of an embedding."""


class EngineClient(Protocol):
    """Talks to one engine. Bodies and replies are JSON bytes; paths are the engine's (`/v1/chat/completions`, `/tokenize`)."""

    async def post(self, path: str, body: bytes) -> bytes:
        """One reply. Raises the mapped OpenHearthError: InvalidRequest for the engine's 4xx, EngineFailed, EngineTimeout..."""
        ...

    async def get(self, path: str) -> bytes: ...

    def stream(self, path: str, body: bytes) -> AsyncGenerator[list[bytes]]:
        """Server-sent events: each item is the list of `data:` payloads that were ready together, without `[DONE]`.

        Ends after `[DONE]`; a stream that ends without it raises EngineFailed, one that stalls EngineTimeout, an error event the
        mapped error. Closing the iterator (`aclose`) breaks the connection, which stops the generation.
        """
        ...


class RunningEngine(Protocol):
    """A started engine, owned by the pool."""

    @property
    def client(self) -> EngineClient: ...

    @property
    def properties(self) -> EngineProperties: ...

    @property
    def alive(self) -> bool: ...

    def resident_bytes(self) -> int:
        """Memory its process holds; 0 for a remote one."""
        ...

    async def exited(self) -> object:
        """Wait until it has ended by itself; for a remote one: for ever."""
        ...

    async def stop(self) -> None:
        """End it: politely, then not. Never raises, leaves no process and no socket file."""
        ...


class Launcher(Protocol):
    """Starts engines of one kind."""

    async def start(self, spec: EngineSpec) -> RunningEngine:
        """Returns when a real probe was answered. Raises EngineUnavailable saying why (e.g. the child's own last words)."""
        ...
