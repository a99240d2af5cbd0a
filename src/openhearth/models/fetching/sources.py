"""The URIs that name a file: parsed and checked here, looked up nowhere.

hf://owner/name/path/to/file[@revision]
pypi://project==version/path/in/the/wheel
https://host/path            (http:// for loopback only)
file:///absolute/path
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from openhearth.errors import InvalidRequest
from openhearth.models.fetching.artifact import check_name

_HUB_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_PROJECT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on the hub."""

    repository: str
    """`owner/name`."""
    path: str
    revision: str | None


@dataclass(frozen=True)
class PackageMember:
    """A file inside a wheel of a Python package index."""

    project: str
    version: str
    path: str


@dataclass(frozen=True)
class WebFile:
    """A file behind a URL that may be fetched as it is."""

    url: str


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine."""

    path: Path


Source = HubFile | PackageMember | WebFile | LocalFile


def parse(uri: str) -> Source:
    """What `uri` names. Raises InvalidRequest saying what is wrong with it."""
    scheme, separator, rest = uri.partition("://")
    if separator and not re.search(r"[\x00-\x20\x7f]", uri):
        match scheme.lower():
            case "hf":
                return _hub_file(rest)
            case "pypi":
                return _package_member(rest)
            case "http" | "https":
                return WebFile(_web(uri))
            case "file":
                return _local_file(rest)
    raise InvalidRequest(f"{shown(uri)}: a source starts with hf://, pypi://, https:// or file:///, and holds no spaces.")


def repository(text: str) -> tuple[str, str | None]:
    """`owner/name[@revision]` -> (`owner/name`, revision)."""
    name, at, revision = text.partition("@")
    owner, _, project = name.partition("/")
    if not (_HUB_SEGMENT.fullmatch(owner) and _HUB_SEGMENT.fullmatch(project)) or ".." in name:
        raise InvalidRequest(f"hf://{text[:100]}: expected hf://owner/name.")
    return name, _revision(revision) if at else None


def permitted(url: str) -> bool:
    """Whether anything may be fetched from `url`: https, or http from this machine itself; no credentials inside."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its very name; looks nothing up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def place(source: Source) -> tuple[str, str] | None:
    """Who is asked for it and for what, for people; None: nobody outside."""
    match source:
        case HubFile(repository=name):
            return "the hub", name
        case PackageMember(project=project, version=version):
            return "the package index", f"{project}=={version}"
        case WebFile(url):
            return urlsplit(url).hostname or "", shown(url).rpartition("/")[2]
        case LocalFile():
            return None


def shown(url: str) -> str:
    """The URL for messages: without user, password and query, which may be secrets."""
    head = re.split(r"[?#]", url, maxsplit=1)[0]
    return re.sub(r"(?<=://)[^/]*@(?=[^/]*)", "", head)[:300] if "://" in head and head.startswith("http") else head[:300]


def _hub_file(rest: str) -> HubFile:
    path, at, revision = rest.partition("@")
    owner, _, inside = path.partition("/")
    name, _, inside = inside.partition("/")
    repository(f"{owner}/{name}")
    if not inside:
        raise InvalidRequest(f"hf://{rest[:100]}: expected a file, hf://owner/name/path/to/file[@revision].")
    check_name(unquote(inside))
    return HubFile(f"{owner}/{name}", unquote(inside), _revision(revision) if at else None)


def _revision(revision: str) -> str:
    if not _REVISION.fullmatch(revision) or ".." in revision or "//" in revision:
        raise InvalidRequest(f"{revision[:100]!r} is not a revision.")
    return revision


def _package_member(rest: str) -> PackageMember:
    from packaging.version import InvalidVersion, Version

    requirement, _, inside = rest.partition("/")
    project, _, version = requirement.partition("==")
    try:
        Version(version)
    except InvalidVersion:
        version = ""
    if not (_PROJECT.fullmatch(project) and version and inside):
        raise InvalidRequest(f"pypi://{rest[:100]}: expected pypi://project==version/path/in/the/wheel.")
    return PackageMember(project, version, unquote(inside))


def _web(url: str) -> str:
    if not permitted(url):
        raise InvalidRequest(
            f"{shown(url)}: only https is fetched (http from this machine alone), and credentials belong into ~/.netrc, not into a URL."
        )
    return url.partition("#")[0]


def _local_file(rest: str) -> LocalFile:
    path = Path(url2pathname(rest))
    if not path.is_absolute() or "\x00" in str(path):
        raise InvalidRequest(f"file://{rest[:100]}: expected an absolute path, file:///path.")
    return LocalFile(path)
