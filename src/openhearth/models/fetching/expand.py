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
from openhearth.models.fetching.repository_files import chosen
from openhearth.models.fetching.sources import HubFile, LocalFile, PackageMember, WebFile, parse, repository

_QUANTISATION = re.compile(r"[A-Za-z0-9_.-]{1,40}")


async def expand(source: str, *, offline: bool = False) -> list[Artifact]:
    """The files behind `source`, the model's main file first.

    Raises InvalidRequest if it can't be understood, DownloadFailed if nothing usable is there or the network is needed and forbidden.
    """
    if source.startswith("hf://"):
        if offline:
            raise DownloadFailed(f"{source[:200]}: --offline forbids to ask the hub.")
        return await _of_hub(source.removeprefix("hf://"))
    if "://" not in source:
        return await asyncio.to_thread(_of_disk, Path(source).expanduser())
    match parse(source):
        case PackageMember(path=path):
            return [Artifact(PurePosixPath(path).name, (source,))]
        case WebFile(url):
            return [Artifact(_last_segment(url), (url,))]
        case LocalFile(path):
            return await asyncio.to_thread(_of_disk, path)
        case HubFile():  # pragma: no cover - handled above
            raise InvalidRequest(source[:200])


async def _of_hub(rest: str) -> list[Artifact]:
    if re.match(r"[^/@:]+/[^/@:]+/", rest):
        return [await _one_hub_file(parse(f"hf://{rest}"))]
    name, colon, quantisation = rest.partition(":")
    if colon and not _QUANTISATION.fullmatch(quantisation):
        raise InvalidRequest(f"{quantisation[:80]!r} is not a quantisation; expected something like Q4_K_M.")
    repository_name, revision = repository(name)
    listing = await hub.listing(repository_name, revision)
    try:
        files = chosen(listing.files, quantisation if colon else None)
    except DownloadFailed as error:
        raise DownloadFailed(f"hf://{repository_name}: {error.message}") from None
    return [_hub_artifact(listing, file) for file in files]


async def _one_hub_file(wanted: object) -> Artifact:
    assert isinstance(wanted, HubFile)
    listing = await hub.listing(wanted.repository, wanted.revision)
    for file in listing.files:
        if file.path == wanted.path:
            return _hub_artifact(listing, file)
    raise DownloadFailed(f"hf://{wanted.repository} holds no file {wanted.path!r}.")


def _hub_artifact(listing: hub.Listing, file: Listed) -> Artifact:
    name = PurePosixPath(file.path).name if file.path.endswith(".gguf") else file.path
    at = f"@{listing.commit}" if listing.commit else ""
    return Artifact(name, (f"hf://{listing.repository}/{quote(file.path)}{at}",), file.sha256, file.size)


def _of_disk(path: Path) -> list[Artifact]:
    path = path.absolute()
    if path.is_file():
        return [_local_artifact(path, path.name)]
    if not path.is_dir():
        raise InvalidRequest(f"{str(path)[:300]} is neither a file nor a folder.")
    inside = [each for each in sorted(path.rglob("*")) if each.is_file() and not each.is_symlink()]
    listed = [Listed(each.relative_to(path).as_posix(), each.stat().st_size, None) for each in inside]
    return [_local_artifact(path / file.path, file.path) for file in chosen(listed, None)]


def _local_artifact(path: Path, name: str) -> Artifact:
    return Artifact(name, (path.as_uri(),), size=path.stat().st_size)


def _last_segment(url: str) -> str:
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    if not name:
        raise InvalidRequest("The URL names a folder; expected one that ends with a file's name.")
    return name
