"""How much memory a model takes, and how much context it is given where nobody says: what the machine can hold."""

from __future__ import annotations

from openhearth.engines.machine import DEFAULT_SLOTS
from openhearth.models.catalogue import CatalogueEntry
from openhearth.settings import EngineSettings

WANTED_CONTEXT = 8192
LEAST_CONTEXT = 2048
CACHE_SHARE = 8
"""The key-value cache takes at most this part of the engines' memory, unless the owner says otherwise."""
OVERHEAD_BYTES = 96 * 2**20
"""Buffers for computing, and the process itself."""
EMBEDDING_FACTOR = 1.5


def context(trained: int | None, cache_bytes_per_token: int, settings: EngineSettings, budget_bytes: int) -> int:
    """Tokens per slot: what the owner says, or the model's own up to 8192, halved while its cache would take too much. Never above
    what it was trained on."""
    most = trained or WANTED_CONTEXT
    if settings.context is not None:
        return min(settings.context, most)
    chosen = min(WANTED_CONTEXT, most)
    slots = settings.slots or DEFAULT_SLOTS
    while chosen > LEAST_CONTEXT and chosen * slots * cache_bytes_per_token > budget_bytes // CACHE_SHARE:
        chosen //= 2
    return chosen


def generating(file_bytes: int, cache_bytes_per_token: int, context_tokens: int, slots: int | None) -> int:
    """Bytes of a running model that generates."""
    return file_bytes + cache_bytes_per_token * context_tokens * (slots or DEFAULT_SLOTS) + OVERHEAD_BYTES


def of_entry(entry: CatalogueEntry, settings: EngineSettings, budget_bytes: int) -> int | None:
    """Bytes that a model of the catalogue takes when it runs, about; None: the catalogue doesn't tell its size."""
    size = entry.download_bytes
    if size is None:
        return None
    if entry.engine == "embedding":
        return embedding(size)
    tokens = context(entry.context, entry.cache_bytes_per_token, settings, budget_bytes)
    return generating(size, entry.cache_bytes_per_token, tokens, settings.slots)


def embedding(file_bytes: int) -> int:
    """Bytes of a running embedding model."""
    return int(file_bytes * EMBEDDING_FACTOR) + OVERHEAD_BYTES
