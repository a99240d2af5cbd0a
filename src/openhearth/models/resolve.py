"""A name -> what to run. Downloads nothing."""

from __future__ import annotations

import difflib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from openhearth.engines.contract import Capability, EngineSpec
from openhearth.errors import ModelNotFound
from openhearth.settings import Settings

Task = Literal["chat", "completion", "embedding"]
_BY_TASK: dict[Task, frozenset[Capability]] = {
    "chat": frozenset({"chat", "completion", "tokenize", "infill"}),
    "completion": frozenset({"completion", "tokenize"}),
    "embedding": frozenset({"embedding"}),
}


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model that can be run here."""

    id: str
    spec: EngineSpec
    task: Task
    context: int | None
    capabilities: frozenset[Capability]
    created: int
    owned_by: str
    licence: str | None


class Models:
    """What names mean on this installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._created = int(time.time())
        self._known = {str(entry["name"]): self._configured(entry) for entry in settings.models}

    def _configured(self, entry: dict[str, Any]) -> ResolvedModel:
        task: Task = entry.get("task", "chat")
        spec = EngineSpec(entry["name"], entry["engine"], Path(entry["path"]) if "path" in entry else None, {"task": task, **entry.get("options", {})})
        return ResolvedModel(spec.id, spec, task, entry.get("context"), _BY_TASK[task], self._created, "openhearth", entry.get("licence"))

    async def resolve(self, name: str) -> ResolvedModel:
        """Ids and aliases. Raises ModelNotFound with the nearest names."""
        if found := self._known.get(name):
            return found
        if name.startswith(("gpt-", "text-", "davinci", "code-", "o1", "o3", "o4")):
            target = self._settings.embedding_model if "embedding" in name else self._settings.default_model
            if found := self._known.get(target):
                return found
        near = difflib.get_close_matches(name, self._known, 3)
        raise ModelNotFound(f"The model '{name}' does not exist. Did you mean {near}?", param="model")

    async def list(self) -> list[ResolvedModel]:
        """All of them."""
        return list(self._known.values())

    async def remove(self, name: str) -> str:
        """Not for configured models."""
        raise ModelNotFound(f"'{name}' was not pulled.", param="model")

    async def close(self) -> None:
        """Nothing is open."""
