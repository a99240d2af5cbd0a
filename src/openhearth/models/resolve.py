"""A name -> what to run. Downloads nothing, loads nothing.

Looked for in this order: the owner's configured models, pulled ones, upstream servers' (`upstream/model`), aliases.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openhearth.accounts.work import Price
from openhearth.engines.contract import Capability, EngineSpec
from openhearth.engines.machine import memory_budget
from openhearth.errors import InvalidRequest, ModelNotFound
from openhearth.models import sizing
from openhearth.models.aliases import Aliases
from openhearth.models.catalogue import CatalogueEntry, Prices, Task, load
from openhearth.models.gguf import read_header
from openhearth.models.library import Library, Manifest
from openhearth.models.names import nearest
from openhearth.models.upstreams import Upstreams
from openhearth.settings import Settings

_BY_TASK: dict[Task, frozenset[Capability]] = {
    "chat": frozenset({"chat", "completion", "tokenize"}),
    "completion": frozenset({"completion", "tokenize"}),
    "embedding": frozenset({"embedding"}),
}
_LONGEST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model that can be run here."""

    id: str
    spec: EngineSpec
    task: Task
    context: int | None
    """Tokens that it was trained on."""
    capabilities: frozenset[Capability]
    created: int
    owned_by: str
    licence: str | None
    price: Price


class Models:
    """What names mean on this installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._created = int(time.time())
        self._budget = memory_budget(settings.engines)
        self._catalogue = load(settings.models)
        self._configured = {entry.name: self._here(entry) for entry in self._catalogue.here}
        self._library = Library(settings.models_dir)
        self._pulled: dict[str, tuple[Manifest, ResolvedModel]] = {}
        self._aliases = Aliases(
            settings.data_dir, settings.aliases, default_model=settings.default_model, embedding_model=settings.embedding_model
        )
        self._upstreams = Upstreams(settings.upstreams, lambda: {*self._aliases.targets(), *(settings.preload or ())})

    async def resolve(self, name: str) -> ResolvedModel:
        """Ids and aliases. Raises ModelNotFound with what may have been meant, and how to get it; EngineUnavailable for a model of another
        server that can't be asked for it."""
        if found := await self._find(name):
            return found
        target = None if name in self._catalogue.entries else self._aliases.target(name)
        if target is not None and (found := await self._find(target)):
            return found
        raise self._unknown(name, target)

    def meaning(self, name: str) -> str:
        """The real name behind an alias; any other name as it is, whether such a model is here or not."""
        if self._leads_somewhere(name) or name in self._catalogue.entries:
            return name
        return self._aliases.target(name) or name

    async def list(self) -> list[ResolvedModel]:
        """All that can be asked, upstream servers' too, as far as they answer."""
        own = [*self._configured.values(), *(self._of_manifest(manifest) for manifest in self._library.all().values())]
        return own + [self._of_upstream(*each) for each in await self._upstreams.all()]

    def lacking(self, name: str) -> ModelNotFound | None:
        """Why a model can't be asked by its own name (aliases stand for such names only); None: it can. Upstream servers aren't asked."""
        if self._leads_somewhere(name):
            return None
        if name not in self._catalogue.entries and (target := self._aliases.target(name)):
            return ModelNotFound(
                f"'{name}' is no model but an alias{f' of {target!r}' if target != name else ''}: name a model.", param="model"
            )
        return self._unknown(name, None)

    def can_be_pulled(self, name: str) -> bool:
        """Whether the catalogue has it."""
        return name in self._catalogue.entries

    def aliases_to_nowhere(self) -> Iterator[ModelNotFound]:
        """What is wrong with each alias of the owner's that means a model that is not here."""
        return (self._unknown(alias, target) for alias, target in self._aliases.own().items() if not self._leads_somewhere(target))

    def check_removable(self, name: str) -> None:
        """Raises InvalidRequest for a model that the settings name or another server has."""
        if name in self._configured:
            raise InvalidRequest(f"'{name}' stands in the settings; take it out there.", param="model")
        if name not in self._library.all():
            raise InvalidRequest(f"'{name}' is not on this machine, so there is nothing to delete.", param="model")

    async def remove(self, name: str) -> str:
        """Delete a pulled model's files. Raises InvalidRequest for any other."""
        self.check_removable(name)
        return (await asyncio.to_thread(self._library.remove, name)).id

    async def close(self) -> None:
        """Close connections to upstream servers."""
        await self._upstreams.close()

    async def _find(self, name: str) -> ResolvedModel | None:
        if found := self._configured.get(name):
            return found
        if manifest := self._library.all().get(name):
            return self._of_manifest(manifest)
        if upstream := await self._upstreams.find(name):
            return self._of_upstream(*upstream)
        return None

    def _leads_somewhere(self, name: str) -> bool:
        return name in self._configured or name in self._library.all() or self._upstreams.claim(name)

    def _unknown(self, name: str, target: str | None) -> ModelNotFound:
        shown = name[:_LONGEST_SHOWN]
        wanted = target or name
        if wanted in self._catalogue.entries:
            means = f"'{shown}' means '{wanted}', which" if target else f"'{shown}'"
            return ModelNotFound(f"{means} is not pulled yet. `openhearth pull {wanted}` fetches it.", param="model")
        if target:
            near = nearest(target, [*self._configured, *self._library.all(), *self._catalogue.entries])
            return ModelNotFound(
                f"'{shown}' is an alias of '{target}', which is not here. Change the alias, or pull it.{near}", param="model"
            )
        known = [*self._configured, *self._library.all(), *self._catalogue.entries, *self._aliases.names(), *self._upstreams.names()]
        return ModelNotFound(
            f"The model '{shown}' does not exist.{nearest(shown, known)} GET /v1/models lists those that are here.", param="model"
        )

    def _here(self, entry: CatalogueEntry) -> ResolvedModel:
        path = Path(entry.path).expanduser() if entry.path else None
        options: dict[str, Any] = {"task": entry.task, **entry.options}
        capabilities = _BY_TASK[entry.task] | set(entry.capabilities)
        context, memory = entry.context, 0
        if entry.engine == "fake" and entry.task != "embedding":
            capabilities = capabilities | {"infill", "tools"} if not entry.capabilities else capabilities
        if entry.engine == "llama" and path is not None:
            header = read_header(path)
            context = header.context or context
            options.setdefault("context", sizing.context(context, header.cache_bytes_per_token, self._settings.engines, self._budget))
            capabilities |= {"infill"} if header.fills_in else set()
            memory = sizing.generating(path.stat().st_size, header.cache_bytes_per_token, options["context"], self._settings.engines.slots)
        if entry.capabilities or entry.engine == "llama":
            options["capabilities"] = sorted(capabilities)
        spec = EngineSpec(entry.name, entry.engine, path, options, memory)
        return ResolvedModel(
            spec.id, spec, entry.task, context, capabilities, self._created, entry.publisher, entry.licence, _price(entry.prices)
        )

    def _of_manifest(self, manifest: Manifest) -> ResolvedModel:
        """Kept as it was made, so that the pool sees the same spec each time."""
        known = self._pulled.get(manifest.id)
        if known is None or known[0] is not manifest:
            known = self._pulled[manifest.id] = (manifest, self._made(manifest))
        return known[1]

    def _made(self, manifest: Manifest) -> ResolvedModel:
        engines = self._settings.engines
        capabilities = _BY_TASK[manifest.task] | set(manifest.capabilities)
        options: dict[str, Any] = {**manifest.options, "capabilities": sorted(capabilities)}
        path = self._library.main_file(manifest)
        if manifest.engine == "llama":
            context = sizing.context(manifest.context, manifest.cache_bytes_per_token, engines, self._budget)
            options.setdefault("context", context)
            memory = sizing.generating(manifest.size, manifest.cache_bytes_per_token, context, engines.slots)
        else:
            path, memory = path.parent, sizing.embedding(manifest.size)
        spec = EngineSpec(manifest.id, manifest.engine, path, options, memory)
        return ResolvedModel(
            manifest.id,
            spec,
            manifest.task,
            manifest.context,
            capabilities,
            manifest.pulled_at,
            manifest.publisher,
            manifest.licence,
            _price(manifest.prices),
        )

    def _of_upstream(self, model_id: str, spec: EngineSpec, task: Task, owner: str) -> ResolvedModel:
        return ResolvedModel(model_id, spec, task, None, _BY_TASK[task], self._created, owner, None, Price())


def _price(prices: Prices) -> Price:
    return Price(prices.input, prices.cached_input, prices.output)
