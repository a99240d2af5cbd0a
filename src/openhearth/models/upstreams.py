"""Models of other servers: `gpu/Qwen3-32B` is `Qwen3-32B` of the upstream that the settings call `gpu`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable

from openhearth.engines.contract import EngineSpec
from openhearth.engines.upstream import list_models
from openhearth.errors import OpenHearthError
from openhearth.models.catalogue import Task
from openhearth.settings import Upstream, upstream_key

REMEMBERED_S = 60.0
LONGEST_NAME = 256
_EMBEDDING = re.compile(r"embed|(?:^|[/-])(?:bge|gte|e5|minilm)-", re.IGNORECASE)

Found = tuple[str, EngineSpec, Task, str]
"""Id, how to reach it, task, who owns it."""


class Upstreams:
    """All upstream servers of the settings. Raises SetupError if a key's variable is not set."""

    def __init__(self, upstreams: Iterable[Upstream]) -> None:
        self._upstreams = {upstream.name: (upstream, upstream_key(upstream)) for upstream in upstreams}
        self._listed: dict[str, tuple[float, list[str]]] = {}
        self._specs: dict[str, Found] = {}

    def find(self, name: str) -> Found | None:
        """A model by its name here. One that the upstream does not have is found out when it is asked."""
        server, slash, model = name.partition("/")
        if not slash or not model or len(name) > LONGEST_NAME or server not in self._upstreams:
            return None
        upstream, _ = self._upstreams[server]
        if upstream.models and model not in upstream.models:
            return None
        if name not in self._specs:
            found = self._made(name, model)
            if upstream.models:
                self._specs[name] = found
            return found
        return self._specs[name]

    async def all(self) -> list[Found]:
        """All of them; a server that doesn't answer adds nothing now."""
        listings = await asyncio.gather(*(self._models(name) for name in self._upstreams))
        names = [f"{server}/{model}" for server, models in zip(self._upstreams, listings, strict=True) for model in models]
        return [found for name in names if (found := self.find(name))]

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _models(self, name: str) -> list[str]:
        upstream, key = self._upstreams[name]
        if upstream.models:
            return list(upstream.models)
        at, known = self._listed.get(name, (-REMEMBERED_S, []))
        if time.monotonic() - at < REMEMBERED_S:
            return known
        try:
            known = [model.id for model in await list_models(upstream, key)]
        except OpenHearthError:
            known = []
        self._listed[name] = (time.monotonic(), known)
        return known

    def _made(self, name: str, model: str) -> Found:
        upstream, key = self._upstreams[name.partition("/")[0]]
        task: Task = "embedding" if _EMBEDDING.search(model) else "chat"
        options = {
            "base_url": upstream.base_url,
            "api_key": key,
            "model": model,
            "task": task,
            "timeout_s": upstream.timeout_s,
            "connect_timeout_s": upstream.connect_timeout_s,
            "retries": upstream.retries,
            "slots": upstream.slots,
        }
        return name, EngineSpec(name, "upstream", None, options), task, upstream.name
