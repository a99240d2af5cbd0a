"""Models of other servers: `gpu/Qwen3-32B` is `Qwen3-32B` of the upstream that the settings call `gpu`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from openhearth.engines.contract import EngineSpec
from openhearth.engines.upstream import list_models
from openhearth.errors import EngineUnavailable, InvalidRequest, ModelNotFound, NotFound, OpenHearthError, RateLimited
from openhearth.models.catalogue import Task
from openhearth.settings import Upstream, upstream_key

REMEMBERED_S = 60.0
ASKED_AGAIN_S = 5.0
"""A name that was not listed is looked for in a new listing, but the server is not asked more often than this."""
LONGEST_NAME = 256
LATEST = ":latest"
"""What Ollama's listing adds to names that its users leave it out of."""
_EMBEDDING = re.compile(r"embed|(?:^|[/-])(?:bge|gte|e5|minilm)-", re.IGNORECASE)

Found = tuple[str, EngineSpec, Task, str]
"""Id, how to reach it, task, who owns it."""


@dataclass(frozen=True)
class Listing:
    """What a server listed last, and why it didn't when it was asked after that."""

    at: float = float("-inf")
    models: tuple[str, ...] = ()
    error: OpenHearthError | None = None


class Upstreams:
    """All upstream servers of the settings. Raises SetupError if a key's variable is not set.

    `named` gives the names that the owner's own settings use. Those, the `models` of an upstream, and what it lists are models here; no
    other name is, so that clients can't make engines and metrics out of nothing.
    """

    def __init__(self, upstreams: Iterable[Upstream], named: Callable[[], Collection[str]] = tuple) -> None:
        self._upstreams = {upstream.name: (upstream, upstream_key(upstream)) for upstream in upstreams}
        self._named = named
        self._listings = dict.fromkeys(self._upstreams, Listing())
        self._asking = {name: asyncio.Lock() for name in self._upstreams}
        self._specs: dict[str, Found] = {}

    async def find(self, name: str) -> Found | None:
        """A model by its name here. Asks the server only if it has not listed the name yet.

        Raises EngineUnavailable if the server can't be asked, ModelNotFound if it has no listing.
        """
        server, slash, model = name.partition("/")
        if not slash or not model or len(name) > LONGEST_NAME or server not in self._upstreams:
            return None
        upstream, _ = self._upstreams[server]
        offered = upstream.models or self._listings[server].models
        if model in offered or name in self._named():
            return self._kept(server, model)
        if upstream.models:
            return None
        listing = await self._listing(server, ASKED_AGAIN_S)
        for listed in (model, model + LATEST):
            if listed in listing.models:
                return self._kept(server, listed)
        if listing.error:
            raise _unlisted(server, listing.error)
        return None

    def claim(self, name: str) -> bool:
        """Whether the name is one of theirs, as far as that is known without asking."""
        server, slash, model = name.partition("/")
        if not slash or not model or server not in self._upstreams:
            return False
        offered = self._upstreams[server][0].models
        return not offered or model in offered

    async def all(self) -> list[Found]:
        """All of them; a server that doesn't answer adds nothing now."""
        open_ended = [name for name, (upstream, _) in self._upstreams.items() if not upstream.models]
        await asyncio.gather(*(self._listing(name, REMEMBERED_S) for name in open_ended))
        return [self._kept(server, model) for server, model in self._offered() if not self._listings[server].error]

    def names(self) -> list[str]:
        """What is known without asking."""
        return [f"{server}/{model}" for server, model in self._offered()]

    async def close(self) -> None:
        """Nothing is kept open."""

    def _offered(self) -> list[tuple[str, str]]:
        each = self._upstreams.items()
        return [(name, model) for name, (upstream, _) in each for model in upstream.models or self._listings[name].models]

    async def _listing(self, name: str, age_s: float) -> Listing:
        """One that is no older than `age_s`."""
        async with self._asking[name]:
            if time.monotonic() - self._listings[name].at >= age_s:
                self._listings[name] = await self._listed(*self._upstreams[name], self._listings[name])
            return self._listings[name]

    async def _listed(self, upstream: Upstream, key: str | None, before: Listing) -> Listing:
        try:
            models = tuple(model.id for model in await list_models(upstream, key))
        except OpenHearthError as error:
            return Listing(time.monotonic(), before.models, error)
        return Listing(time.monotonic(), models)

    def _kept(self, server: str, model: str) -> Found:
        """The same each time, so that the pool sees the same spec."""
        name = f"{server}/{model}"
        if name not in self._specs:
            self._specs[name] = self._made(name, model)
        return self._specs[name]

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


def _unlisted(server: str, error: OpenHearthError) -> OpenHearthError:
    """Why a name can't be looked for."""
    if isinstance(error, (InvalidRequest, NotFound)):
        return ModelNotFound(
            f"The upstream server '{server}' has no list of models, so the owner has to name them: models = [...] in [[upstreams]].",
            param="model",
        )
    return error if isinstance(error, (EngineUnavailable, RateLimited)) else EngineUnavailable(error.message)
