"""The catalogue: models that are known by a name, and where their files are to be had. The owner's entries go over the shipped ones.

Says nothing of what is installed (`library`) and fetches nothing (`pull`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec

from openhearth.engines.contract import Capability, EngineKind
from openhearth.errors import SetupError
from openhearth.settings import Prices
from openhearth.settings_mistakes import Origins

Task = Literal["chat", "completion", "embedding"]


class CatalogueFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of a model, and every place that has exactly it."""

    name: str
    sha256: str | None = None
    size: int | None = None
    """Bytes."""
    places: list[str | list[str]] = msgspec.field(name="from")
    """Tried in order. A list is a file in parts, joined in order."""


class CatalogueEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model. It has files, or a hub repository that is asked for them, or a path where it already is."""

    name: str
    engine: EngineKind = "llama"
    task: Task = "chat"
    title: str = ""
    publisher: str = "openhearth"
    licence: str | None = None
    context: int | None = None
    parameters: str | None = None
    """For people: `135M`."""
    size: int | None = None
    """Bytes to download, where the files don't say."""
    cache_bytes_per_token: int = 0
    """Of the key-value cache at 16 bits, to tell the memory that it takes before it is pulled."""
    capabilities: list[Capability] = []
    prices: Prices = Prices()
    files: list[CatalogueFile] = []
    hub: str | None = None
    """`hf://owner/name:quantisation`"""
    path: str | None = None
    needs: str | None = None
    """What it needs beside memory, for people."""
    options: dict[str, Any] = {}
    """The engine's own (see `docs/engines.md`)."""

    @property
    def download_bytes(self) -> int | None:
        """What pulling it costs, as far as known."""
        known = sum(file.size or 0 for file in self.files)
        return known or self.size

    @property
    def has_mirror(self) -> bool:
        """Whether all of it can be had from the package index."""
        firsts = [[place if isinstance(place, str) else place[0] for place in file.places] for file in self.files]
        return bool(firsts) and all(any(place.startswith("pypi://") for place in places) for places in firsts)


@dataclass(frozen=True)
class Catalogue:
    """All entries by name."""

    entries: dict[str, CatalogueEntry]

    @property
    def here(self) -> list[CatalogueEntry]:
        """Those that need no pulling: they have a path, or an engine that needs no file."""
        return [entry for entry in self.entries.values() if entry.path or entry.engine == "fake"]


def load(own: Iterable[dict[str, Any]]) -> Catalogue:
    """The shipped catalogue and the owner's entries. Raises SetupError naming the entry that is wrong."""
    text = resources.files("openhearth.models").joinpath("catalogue.toml").read_text("utf-8")
    shipped = msgspec.convert(tomllib.loads(text)["models"], list[CatalogueEntry])
    return Catalogue({entry.name: entry for entry in [*shipped, *map(_own, own)]})


def _explained(error: str, name: object) -> str:
    mistake = Origins((), (), "", None).explained(error, {"": CatalogueEntry.__struct_fields__, "files": CatalogueFile.__struct_fields__})
    return f"Settings: [[models]] {name!r}: {mistake.removeprefix('Settings: ')}"


def _own(raw: dict[str, Any]) -> CatalogueEntry:
    name = raw.get("name")
    try:
        entry = msgspec.convert(raw, CatalogueEntry)
    except msgspec.ValidationError as error:
        raise SetupError(_explained(str(error), name), exit_status=78) from None
    if not (entry.path or entry.files or entry.hub or entry.engine == "fake"):
        raise SetupError(f"Settings: [[models]] {name!r} says neither 'path' nor 'hub' nor 'files'.", exit_status=78)
    if entry.path and not Path(entry.path).expanduser().exists():
        raise SetupError(f"Settings: [[models]] {name!r}: {entry.path} does not exist.", exit_status=78)
    return entry
