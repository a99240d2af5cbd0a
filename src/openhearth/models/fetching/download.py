"""One resource, or a range of it, into a `Partial`: resumed, retried, bounded. Judges lengths; checksums are `fetch`'s."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from openhearth.errors import DownloadFailed
from openhearth.models.fetching.credentials import Credentials
from openhearth.models.fetching.partial import Partial, require_room
from openhearth.models.fetching.patience import Attempts, Interrupted, Patience, in_thread
from openhearth.models.fetching.sources import shown
from openhearth.models.fetching.web import Web

if TYPE_CHECKING:
    from aiohttp import ClientResponse

FLUSH_BYTES = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

Report = Callable[[int], None]


@dataclass(frozen=True)
class Span:
    """The bytes `start` to `start + length` of what is behind a URL; without a length: all of it."""

    url: str
    credentials: Credentials | None = None
    start: int = 0
    length: int | None = None
    size: int | None = None
    """How long the whole resource must be, if known."""
    vouched: bool = False
    """A checksum will be looked at in the end, so resuming needs no ETag and an unknown length is no danger."""

    @property
    def whole(self) -> bool:
        return self.length is None

    @property
    def expected(self) -> int | None:
        return self.size if self.length is None else self.length


async def download(web: Web, span: Span, partial: Partial, patience: Patience, report: Report) -> None:
    """Bring the part under way to its end. Raises DownloadFailed; what has arrived stays in `partial` unless it is wrong."""
    attempts = Attempts(patience)
    while True:
        try:
            return await _attempt(web, span, partial, report)
        except Interrupted as error:
            await attempts.after(error, partial.length)


async def _attempt(web: Web, span: Span, partial: Partial, report: Report) -> None:
    if partial.held and not (partial.validator or span.vouched):
        partial.restart()
    if span.expected is not None and partial.held > span.expected:
        partial.restart()
    if span.expected is not None and partial.held == span.expected:
        return report(partial.length)
    async with web.get(span.url, _headers(span, partial), span.credentials) as reply:
        if _nothing_is_left(reply, span, partial):
            return report(partial.length)
        remaining = _accepted(reply, span, partial)
        if partial.held == 0:
            partial.remember(_validator(reply))
        if remaining is not None:
            require_room(partial.path.parent, remaining)
        report(partial.length)
        received = await _receive(reply, partial, remaining, report)
        if remaining is not None and received < remaining:
            raise Interrupted(f"{shown(span.url)} broke off after {partial.held} bytes.")
    return None


def _headers(span: Span, partial: Partial) -> dict[str, str]:
    if span.whole and not partial.held:
        return {}
    last = "" if span.length is None else str(span.start + span.length - 1)
    headers = {"range": f"bytes={span.start + partial.held}-{last}"}
    return {**headers, "if-range": partial.validator} if partial.held and partial.validator else headers


def _nothing_is_left(reply: ClientResponse, span: Span, partial: Partial) -> bool:
    """Whether the server says that what is held already is all there is."""
    return reply.status == 416 and partial.held > 0 and span.whole and reply.headers.get("content-range") == f"bytes */{partial.held}"


def _accepted(reply: ClientResponse, span: Span, partial: Partial) -> int | None:
    """How many bytes are to come (None: it doesn't say), having started over if the server did."""
    where = shown(span.url)
    if reply.status == 404:
        raise DownloadFailed(f"{where} does not exist (404).")
    if reply.status == 416:
        partial.restart()
        raise Interrupted(f"{where} has become shorter.")
    if reply.status == 206:
        return _continued(reply, span, partial)
    if not span.whole:
        partial.restart()
        raise Interrupted(f"{where} no longer serves ranges, or has changed.")
    if partial.held:
        partial.restart()
    return _length(reply, span)


def _continued(reply: ClientResponse, span: Span, partial: Partial) -> int | None:
    where = shown(span.url)
    found = _RANGE.fullmatch(reply.headers.get("content-range", ""))
    changed = partial.held and partial.validator and _validator(reply) not in (None, partial.validator)
    if not found or int(found[1]) != span.start + partial.held or changed:
        partial.restart()
        raise Interrupted(f"{where} has changed, or sends other bytes than it was asked for.")
    total = None if found[3] == "*" else int(found[3])
    _agree(where, total, span.size, partial)
    if span.length is not None:
        return span.length - partial.held
    return int(found[2]) + 1 - int(found[1]) if total is None else total - partial.held


def _length(reply: ClientResponse, span: Span) -> int | None:
    where = shown(span.url)
    length = reply.content_length
    if length is None and "chunked" not in reply.headers.get("transfer-encoding", "") and not (span.vouched or span.size is not None):
        raise DownloadFailed(f"{where} doesn't say how long it is, so nobody could tell whether it is whole; give its sha256.")
    _agree(where, length, span.size, None)
    return span.size if length is None else length


def _agree(where: str, said: int | None, expected: int | None, partial: Partial | None) -> None:
    if said is not None and expected is not None and said != expected:
        if partial is not None:
            partial.restart()
        raise DownloadFailed(f"{where} is {said} bytes long; expected were {expected}. It is not the file that was meant.")


def _validator(reply: ClientResponse) -> str | None:
    """A strong ETag, else the date of the last change. Weak ones may stand for different bytes."""
    etag = reply.headers.get("etag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return reply.headers.get("last-modified")


async def _receive(reply: ClientResponse, partial: Partial, remaining: int | None, report: Report) -> int:
    received, waiting = 0, bytearray()
    try:
        async for chunk in reply.content.iter_any():
            received += len(chunk)
            if remaining is not None and received > remaining:
                waiting.clear()
                partial.restart()
                raise DownloadFailed(f"{shown(str(reply.url))} sends more bytes than it has said.")
            waiting += chunk
            if len(waiting) >= FLUSH_BYTES:
                await _flush(partial, waiting, remaining is None)
                report(partial.length)
    finally:
        # Also when cancelled or broken off: what has arrived need not come again.
        partial.append(waiting)
    report(partial.length)
    return received


async def _flush(partial: Partial, waiting: bytearray, unbounded: bool) -> None:
    data = bytes(waiting)
    waiting.clear()
    if unbounded:
        require_room(partial.path.parent, len(data))
    await in_thread(lambda: partial.append(data))


async def copy(path: Path, partial: Partial, report: Report) -> None:
    """A file of this machine into the partial one; goes on from where it was if the file hasn't changed."""
    try:
        version = await in_thread(lambda: _prepare_copy(path, partial))
        with path.open("rb") as file:
            file.seek(partial.held)
            while await in_thread(lambda: _copy_piece(file, partial)):
                report(partial.length)
            if _version(os.fstat(file.fileno())) != version:
                partial.restart()
                raise DownloadFailed(f"{path} was changed while it was copied.")
    except OSError as error:
        raise DownloadFailed(f"{path} can't be read: {error.strerror}.") from None


def _copy_piece(file: BinaryIO, partial: Partial) -> bool:
    data = file.read(4 * FLUSH_BYTES)
    partial.append(data)
    return bool(data)


def _version(state: os.stat_result) -> str:
    return f"{state.st_mtime_ns}-{state.st_size}"


def _prepare_copy(path: Path, partial: Partial) -> str:
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        raise DownloadFailed(f"{path} is not a file.")
    version = _version(state)
    if partial.validator != version or partial.held > state.st_size:
        partial.restart()
    partial.remember(version)
    require_room(partial.path.parent, state.st_size - partial.held)
    return version
