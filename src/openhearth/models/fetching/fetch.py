"""An artifact into a folder: once, whole, and checked before it gets its name.

<name>                what was asked for; appears last, by a rename
<name>.part           what has arrived of it, with its journal <name>.part.json
<name>.packed.part    an archive, or a compressed member, that it is taken out of
<name>.lock           held by whoever is fetching it
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial as bound
from pathlib import Path

from openhearth.errors import DownloadFailed
from openhearth.models.fetching.artifact import Artifact, FetchedFile, Progress
from openhearth.models.fetching.partial import Partial, require_room, unwritable
from openhearth.models.fetching.parts import Fetching, packed_path
from openhearth.models.fetching.patience import Patience, in_thread
from openhearth.models.fetching.sources import LocalFile, parse, place

LOCK_POLL_S = 0.1


async def fetch(
    artifact: Artifact, folder: Path, progress: Progress, *, offline: bool = False, patience: Patience | None = None
) -> FetchedFile:
    """Have the artifact in `folder`, whole and checked, fetching it unless it is there.

    Raises InvalidRequest for sources that can't be understood, DownloadFailed for everything that keeps the file from being had.
    """
    sources = [parse(part) for part in artifact.parts]
    final = folder / artifact.name
    progress.begin(artifact.name, artifact.size)
    try:
        if found := await _present(final, artifact):
            return found
        if offline and not all(isinstance(source, LocalFile) for source in sources):
            raise DownloadFailed(f"{artifact.name} is not in {folder}, and --offline forbids to download it.")
        _make_folder(final.parent)
        async with _alone(final):
            if found := await _present(final, artifact):
                return found
            return await _fetch(artifact, final, progress, patience or Patience())
    finally:
        progress.end(artifact.name)


async def _fetch(artifact: Artifact, final: Path, progress: Progress, patience: Patience) -> FetchedFile:
    report = bound(progress.advance, artifact.name)
    partial = Partial(final.with_name(final.name + ".part"), _identity(artifact))
    if artifact.size is not None:
        require_room(final.parent, artifact.size - min(partial.length, artifact.size))
    async with Fetching(artifact, partial, report, patience) as fetching:
        for source in [parse(part) for part in artifact.parts][partial.finished :]:
            if asked := place(source):
                progress.asking(*asked)
            await fetching.part(source)
    found = await in_thread(lambda: measured(partial.path))
    if wrong := _difference(artifact, found):
        partial.discard()
        raise DownloadFailed(f"{artifact.name}: {wrong} It was removed; trying again starts over.")
    await in_thread(lambda: _publish(partial, final))
    return FetchedFile(final, found.sha256, found.size)


async def _present(final: Path, artifact: Artifact) -> FetchedFile | None:
    """The file, if it is there already and is the one that is meant."""
    found = await asyncio.to_thread(_measured_if_likely, final, artifact.size)
    return None if found is None or _difference(artifact, found) else found


def _measured_if_likely(path: Path, size: int | None) -> FetchedFile | None:
    if not path.exists():
        return None
    if not path.is_file():
        raise DownloadFailed(f"{path} is in the way: it is not a file.")
    return measured(path) if size in (None, path.stat().st_size) else None


def measured(path: Path) -> FetchedFile:
    """The size and sum of what is on the disk. Blocking."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FetchedFile(path, digest, file.tell())


def _difference(artifact: Artifact, found: FetchedFile) -> str | None:
    if artifact.size not in (None, found.size):
        return f"expected were {artifact.size} bytes, found {found.size}."
    if artifact.sha256 not in (None, found.sha256):
        return f"expected was sha256 {artifact.sha256}, found {found.sha256}."
    return None


def _publish(partial: Partial, final: Path) -> None:
    """Give the file its name, in a way that survives a power cut."""
    try:
        partial.sync()
        os.replace(partial.path, final)
        if os.name == "posix":
            folder = os.open(final.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise unwritable(final.parent, error) from None
    partial.forget()
    Partial(packed_path(partial.path), "").discard()  # may be left by another way to get the same file


def _identity(artifact: Artifact) -> str:
    return hashlib.sha256("\n".join([*artifact.parts, artifact.sha256 or "", str(artifact.size)]).encode()).hexdigest()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None


@asynccontextmanager
async def _alone(final: Path) -> AsyncIterator[None]:
    """Hold the file's lock, among all processes and all tasks; it is freed when its holder dies."""
    from filelock import FileLock, Timeout

    lock = FileLock(final.with_name(final.name + ".lock"), thread_local=False)
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            await asyncio.sleep(LOCK_POLL_S)
        except OSError as error:
            raise unwritable(final.parent, error) from None
    try:
        yield
    finally:
        lock.release()
