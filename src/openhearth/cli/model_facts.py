"""A model in rows and facts, for `models` and `show`, and as JSON. Looks nothing up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from openhearth.cli.terminal import clean, day, sized

if TYPE_CHECKING:
    from openhearth.models.catalogue import CatalogueEntry
    from openhearth.models.library import Manifest

HEADS = ("MODEL", "CAN", "PARAMETERS", "SIZE", "PULLED")
"""Narrow enough for 80 columns; the licence is one of the facts that `show` tells."""
_SHOWN = {
    "id": "model",
    "size_bytes": "size",
    "memory_bytes": "memory when loaded",
    "memory_estimate_bytes": "memory when loaded",
    "nominal_parameters": "publisher's count",
    "pulled_at": "pulled",
    "chat_template": "chat template",
}


def described(manifest: Manifest, entry: CatalogueEntry | None = None) -> dict[str, Any]:
    """What a pulled model's manifest tells, and the catalogue's count of its parameters beside the file's."""
    return {
        "id": manifest.id,
        "title": manifest.title,
        "task": manifest.task,
        "engine": manifest.engine,
        "publisher": manifest.publisher,
        "licence": manifest.licence,
        "architecture": manifest.architecture,
        "parameters": manifest.parameters,
        "nominal_parameters": entry.parameters if entry else None,
        "quantisation": manifest.quantisation,
        "context": manifest.context,
        "vocabulary": manifest.vocabulary,
        "capabilities": list(manifest.capabilities),
        "chat_template": manifest.template is not None,
        "size_bytes": manifest.size,
        "source": manifest.source,
        "sha256": manifest.files[0].sha256,
        "pulled_at": manifest.pulled_at,
    }


def of_entry(entry: CatalogueEntry) -> dict[str, Any]:
    """What the catalogue tells of a model."""
    return {
        "id": entry.name,
        "title": entry.title,
        "task": entry.task,
        "engine": entry.engine,
        "publisher": entry.publisher,
        "licence": entry.licence,
        "parameters": entry.parameters,
        "context": entry.context,
        "capabilities": list(entry.capabilities),
        "size_bytes": entry.download_bytes,
        "needs": entry.needs,
        "source": entry.path or entry.hub or (_place(entry.files[0].places[0]) if entry.files else None),
        "mirrors": [_place(place) for place in entry.files[0].places[1:]] if entry.files else [],
        "sha256": entry.files[0].sha256 if entry.files else None,
    }


def _place(place: str | list[str]) -> str:
    """Where a file comes from, also one in parts."""
    return place if isinstance(place, str) else " + ".join(place)


def row(manifest: Manifest, entry: CatalogueEntry | None) -> list[str]:
    """A pulled model. Its publisher's count of parameters goes over the file's, which may hold a matrix twice."""
    counted = count(manifest.parameters) if manifest.parameters else "-"
    parameters = _short(entry.parameters) if entry and entry.parameters else counted
    pulled = datetime.fromtimestamp(manifest.pulled_at, UTC).strftime("%Y-%m-%d")
    return [manifest.id, ", ".join([manifest.task, *manifest.capabilities]), parameters, sized(manifest.size), pulled]


def entry_row(entry: CatalogueEntry, state: str) -> list[str]:
    """A model of the catalogue or the settings."""
    size = sized(entry.download_bytes) if entry.download_bytes else "-"
    return [entry.name, ", ".join([entry.task, *sorted(entry.capabilities)]), _short(entry.parameters or "-"), size, state]


def facts(told: dict[str, Any]) -> str:
    """One fact a line."""
    if told.get("sha256") and "mirrors" in told:
        told = {**told, "sha256": f"{told['sha256']} (what is pulled must have it, wherever it comes from)"}
    lines = [[_SHOWN.get(name, name), _told(name, value)] for name, value in told.items() if value not in (None, "", [])]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name.ljust(width)}  {clean(value)}" for name, value in lines)


def _told(name: str, value: Any) -> str:
    if name in ("size_bytes", "memory_bytes"):
        return sized(value)
    if name == "memory_estimate_bytes":
        return f"about {sized(value)}, with its context"
    if name == "parameters" and isinstance(value, int):
        return f"{count(value)}, counted in the file"
    if name == "pulled_at":
        return day(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def count(number: int) -> str:
    """`134.5M`, `7.6B`."""
    return f"{number / 1e9:.1f}B" if number >= 1e9 else f"{number / 1e6:.1f}M"


def _short(parameters: str) -> str:
    """`21B, 3.6B active` -> `21B`."""
    return parameters.partition(",")[0]
