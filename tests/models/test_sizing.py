"""The memory that is told before a model is pulled is the memory that is told after."""

from __future__ import annotations

import pytest

from openhearth.models.catalogue import load
from openhearth.models.sizing import of_entry
from openhearth.settings import EngineSettings
from tests.support.pulled import pulled

GIB = 2**30


def test_every_entry_of_the_catalogue_can_be_estimated() -> None:
    for entry in load(()).entries.values():
        needed = of_entry(entry, EngineSettings(), 64 * GIB)
        assert needed is not None
        assert needed > (entry.download_bytes or 0)
        assert entry.cache_bytes_per_token > 0 or entry.engine == "embedding", entry.name


def test_context_and_slots_count() -> None:
    entry = load(()).entries["qwen3:4b"]
    small, large = EngineSettings(context=2048, slots=1), EngineSettings(context=8192, slots=4)
    difference = (of_entry(entry, large, 64 * GIB) or 0) - (of_entry(entry, small, 64 * GIB) or 0)
    assert difference == entry.cache_bytes_per_token * (8192 * 4 - 2048)


@pytest.mark.real
def test_the_catalogues_figures_are_the_files() -> None:
    entry, manifest = load(()).entries["smollm2:135m"], pulled("smollm2:135m")
    assert entry.cache_bytes_per_token == manifest.cache_bytes_per_token
    assert entry.download_bytes == manifest.size
