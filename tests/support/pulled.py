"""The real models, pulled once as a user would pull them, and shared by all tests."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from openhearth.models.library import Library, Manifest
from openhearth.models.pull import Puller
from openhearth.settings import Settings

DEFAULTS = ("smollm2:135m", "minilm:l6")


class Quiet:
    """Watches no download."""

    def begin(self, name: str, total: int | None) -> None:
        """Nothing to show."""

    def asking(self, place: str, wanted: str) -> None:
        """Nothing to show."""

    def advance(self, name: str, done: int) -> None:
        """Nothing to show."""

    def end(self, name: str) -> None:
        """Nothing to show."""


def cache() -> Path:
    """A data folder that outlives the tests."""
    return Path(os.environ.get("OPENHEARTH_TEST_CACHE") or Path.home() / ".cache" / "openhearth-tests") / "data"


def pulled(name: str) -> Manifest:
    """The model, from the configured index unless it is here."""
    library = Library(cache() / "models")
    return library.all().get(name) or asyncio.run(Puller(Settings(data_dir=cache()), Quiet()).pull(name))


def smollm2() -> Path:
    """The GGUF file of the default chat model."""
    return Library(cache() / "models").main_file(pulled("smollm2:135m"))


def minilm() -> Path:
    """The folder of the default embedding model."""
    return Library(cache() / "models").main_file(pulled("minilm:l6")).parent


def link_models(data_dir: Path, names: Iterable[str] = DEFAULTS) -> None:
    """Have these models in another data folder, without another copy."""
    for name in names:
        manifest = pulled(name)
        source, target = Library(cache() / "models"), Library(data_dir / "models")
        for file in manifest.files:
            (target.folder(name) / file.path).parent.mkdir(parents=True, exist_ok=True)
            _linked(source.folder(name) / file.path, target.folder(name) / file.path)
        target.add(manifest)


def _linked(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
