"""Wheels on the package indexes that pip is configured for: found here, downloaded elsewhere, never installed or run."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from openhearth.errors import DownloadFailed
from openhearth.models.fetching.credentials import Credentials, taken_out
from openhearth.models.fetching.patience import Patience, patiently
from openhearth.models.fetching.sources import PackageMember, permitted, shown
from openhearth.models.fetching.web import Page, Web

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

LONGEST_PAGE = 32 << 20
ALGORITHMS = ("sha512", "sha384", "sha256")
"""Sums that count, strongest first."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wheel:
    """A wheel file as an index describes it."""

    url: str = field(repr=False)
    """`https://`, or `file:///` from an index in a folder."""
    filename: str
    credentials: Credentials | None
    digest: tuple[str, str] | None
    """Algorithm and hex sum, which the index vouches for."""
    size: int | None
    yanked: str | None
    """Why its publisher has withdrawn it; None: it stands."""


async def find(web: Web, indexes: tuple[str, ...], wanted: PackageMember, patience: Patience, *, pinned: bool) -> Wheel:
    """The first index's wheel of exactly that version. `pinned`: its content is known by checksum, so a withdrawn one will do.

    Raises DownloadFailed, saying which indexes were asked.
    """
    failures: list[DownloadFailed] = []
    for index in indexes:
        try:
            wheels = await patiently(patience, partial(_wheels, web, index, wanted))
        except DownloadFailed as error:
            failures.append(error)
            continue
        if wheels:
            return _standing(wheels[0], wanted, pinned)
    asked = ", ".join(shown(index) for index in indexes) or "none: pip is configured for no index"
    raise (
        failures[0] if failures else DownloadFailed(f"No wheel of {wanted.project}=={wanted.version} on the configured indexes ({asked}).")
    )


def _standing(wheel: Wheel, wanted: PackageMember, pinned: bool) -> Wheel:
    if wheel.yanked is not None:
        said = f"{wanted.project}=={wanted.version} was withdrawn by its publisher ({wheel.yanked[:200] or 'no reason given'})"
        if not pinned:
            raise DownloadFailed(f"{said}, and no sha256 says which content is meant.")
        _log.warning("%s; its content is as expected only if the checksum is.", said)
    return wheel


async def _wheels(web: Web, index: str, wanted: PackageMember) -> list[Wheel]:
    """Wheels of the wanted version, the best first: standing ones, then those for any machine."""
    from packaging.utils import canonicalize_name

    plain, credentials = taken_out(index)
    url = f"{plain.rstrip('/')}/{canonicalize_name(wanted.project)}/"
    page = await _page(web, url, credentials)
    if page is None:
        return []
    packages = await asyncio.to_thread(_parsed, page, wanted)
    wheels = [_wheel(package, page, credentials) for package in packages]
    return sorted(wheels, key=lambda wheel: (wheel.yanked is not None, not wheel.filename.endswith("-any.whl"), wheel.filename))


async def _page(web: Web, url: str, credentials: Credentials | None) -> Page | None:
    from pypi_simple import ACCEPT_JSON_PREFERRED

    if urlsplit(url).scheme == "file":
        path = Path(url2pathname(urlsplit(url).path)) / "index.html"
        return Page(url, "text/html", await asyncio.to_thread(path.read_bytes)) if path.is_file() else None
    if not permitted(url):
        raise DownloadFailed(f"{shown(url)}: only https indexes are used.")
    return await web.page(url, ACCEPT_JSON_PREFERRED, credentials, most_bytes=LONGEST_PAGE)


def _parsed(page: Page, wanted: PackageMember) -> list[DistributionPackage]:
    import json

    from packaging.version import InvalidVersion, Version
    from pypi_simple import ProjectPage, UnsupportedRepoVersionError

    try:
        if re.match(r"application/vnd\.pypi\.simple\.v\d+\+json", page.content_type):
            listed = ProjectPage.from_json_data(json.loads(page.body), page.url)
        else:
            listed = ProjectPage.from_html(wanted.project, page.body, page.url)
    except (ValueError, TypeError, UnsupportedRepoVersionError):
        raise DownloadFailed(f"{shown(page.url)} is not an index page that is understood.") from None

    def is_wanted(package: DistributionPackage) -> bool:
        try:
            return package.package_type == "wheel" and Version(package.version or "") == Version(wanted.version)
        except InvalidVersion:
            return False

    return [package for package in listed.packages if is_wanted(package)]


def _wheel(package: DistributionPackage, page: Page, credentials: Credentials | None) -> Wheel:
    remote = urlsplit(page.url).scheme != "file"
    if remote and not permitted(package.url):
        raise DownloadFailed(f"{shown(page.url)} names {shown(package.url)}, which is not https.")
    digests = {name.lower(): value.lower() for name, value in package.digests.items()}
    digest = next(((name, digests[name]) for name in ALGORITHMS if digests.get(name)), None)
    yanked = (package.yanked_reason or "") if package.is_yanked else None
    return Wheel(package.url, package.filename, credentials, digest, package.size, yanked)
