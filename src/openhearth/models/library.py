"""The library: models that were pulled. One manifest each, written last, so that a model is there whole or not at all.

<models>/manifests/<slug>.json    what it is, and its files with their sums
<models>/files/<slug>/            the files, unless they are somewhere else on this machine and only known here
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from openhearth.engines.contract import Capability, EngineKind
from openhearth.errors import ModelNotFound, StorageUnavailable
from openhearth.models.catalogue import Task
from openhearth.settings import Prices


class StoredFile(msgspec.Struct, frozen=True):
    path: str
    """Relative to the model's folder, or absolute: then it was here before and is not ours to delete."""
    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A pulled model."""

    id: str
    engine: EngineKind
    task: Task
    source: str
    pulled_at: int
    files: list[StoredFile]
    """The main one first."""
    title: str = ""
    publisher: str = "openhearth"
    licence: str | None = None
    context: int | None = None
    """Tokens that it was trained on."""
    capabilities: list[Capability] = []
    options: dict[str, object] = {}
    prices: Prices = Prices()
    architecture: str | None = None
    parameters: int | None = None
    quantisation: str | None = None
    vocabulary: int | None = None
    template: str | None = None
    cache_bytes_per_token: int = 0

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class Library:
    """All manifests of a folder. Sees at once what another process pulled or removed."""

    def __init__(self, folder: Path) -> None:
        self._manifests = folder / "manifests"
        self._manifests_name = str(self._manifests)
        self._files = folder / "files"
        self._seen: tuple[int, dict[str, Manifest]] = (-1, {})

    def all(self) -> dict[str, Manifest]:
        """Manifests by id. A damaged one is left out: its model has to be pulled again."""
        try:
            changed = os.stat(self._manifests_name).st_mtime_ns  # at every request; Path.stat costs three times as much
        except OSError:
            return {}
        if changed != self._seen[0]:
            found = (self._read(path) for path in sorted(self._manifests.glob("*.json")))
            self._seen = (changed, {manifest.id: manifest for manifest in found if manifest})
        return self._seen[1]

    def folder(self, model_id: str) -> Path:
        """Where a model's files belong."""
        return self._files / slug(model_id)

    def main_file(self, manifest: Manifest) -> Path:
        """The first file's path; absolute ones stay."""
        return self.folder(manifest.id) / manifest.files[0].path

    def add(self, manifest: Manifest) -> None:
        """Its files must be there. Survives a power cut. Raises StorageUnavailable."""
        try:
            self._manifests.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._manifests, prefix=".", suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(manifest)))
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._manifests / f"{slug(manifest.id)}.json")
        except OSError as error:
            raise StorageUnavailable(f"Can't write to {self._manifests}: {error.strerror}.") from None

    def remove(self, model_id: str) -> Manifest:
        """Forget it and delete its files; those that were here before stay. Raises ModelNotFound."""
        manifest = self.all().get(model_id)
        if manifest is None:
            raise ModelNotFound(f"'{model_id}' was not pulled, so there is nothing to remove.", param="model")
        # Without its manifest the model is gone, whatever happens to the files.
        with suppress(FileNotFoundError):
            (self._manifests / f"{slug(model_id)}.json").unlink()
        shutil.rmtree(self.folder(model_id), ignore_errors=True)
        return manifest

    def _read(self, path: Path) -> Manifest | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Manifest)
        except (OSError, msgspec.DecodeError):
            return None


def slug(model_id: str) -> str:
    """A file name that is safe everywhere and belongs to one id only."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", model_id.lower()).strip(".-")[:60]
    return f"{plain}-{hashlib.sha256(model_id.encode()).hexdigest()[:8]}"
