"""One member out of a zip: found through ranges of it, or taken from a whole one. Nothing is run, no name in it becomes a path."""

from __future__ import annotations

import asyncio
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from openhearth.errors import DownloadFailed
from openhearth.models.fetching.credentials import Credentials
from openhearth.models.fetching.partial import Partial, require_room
from openhearth.models.fetching.sources import shown
from openhearth.models.fetching.web import Web

TAIL = 128 << 10
"""Fetched first: the end record and, in most wheels, the whole directory."""
LONGEST_DIRECTORY = 8 << 20
LARGEST_RATIO = 200
"""Unpacked to packed, where nothing else says how large the member may be."""
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_METHODS: dict[int, Literal["stored", "deflated"]] = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie in the archive."""

    start: int
    packed: int
    size: int
    crc: int
    method: Literal["stored", "deflated"]


class Unusable(DownloadFailed):
    """The archive is damaged, or its member is not what it must be: fetching it again would bring the same."""


class _Gap(Exception):
    """Bytes that must be fetched before reading can go on. No OSError, which zipfile would take for a broken archive."""

    def __init__(self, start: int, length: int) -> None:
        super().__init__()
        self.start, self.length = start, length


class _Sparse(io.RawIOBase):
    """A file of which only some pieces are here; reading any other raises _Gap."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._position = 0
        self._pieces: dict[int, bytes] = {}

    def add(self, start: int, data: bytes) -> None:
        self._pieces[start] = data

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0:
            raise OSError("before the beginning")
        self._position = position
        return position

    def read(self, size: int = -1) -> bytes:
        start = self._position
        end = self._size if size is None or size < 0 else min(self._size, start + size)
        for begin, data in self._pieces.items():
            if begin <= start and end <= begin + len(data):
                self._position = end
                return data[start - begin : end - begin]
        if start >= end:
            return b""
        raise _Gap(start, end - start)


class _Bounded(io.FileIO):
    """A file that is never read in one piece longer than a directory may be: zipfile reads it whole into memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > LONGEST_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too long")
        return super().read(size) or b""


async def locate(web: Web, url: str, credentials: Credentials | None, name: str) -> Member | None:
    """Find a member by reading the archive's directory through ranges. None: the server doesn't do ranges.

    Raises DownloadFailed if the member isn't there.
    """
    tail, size = await _range(web, url, credentials, f"bytes=-{TAIL}")
    if size is None:
        return None
    sparse, fetched = _Sparse(size), len(tail)
    sparse.add(size - len(tail), tail)
    while True:
        try:
            found = await asyncio.to_thread(_found_in, sparse, name, url)
            break
        except _Gap as gap:
            fetched += gap.length
            if fetched > LONGEST_DIRECTORY:
                raise DownloadFailed(f"{shown(url)}: its directory is longer than {LONGEST_DIRECTORY} bytes.") from None
            sparse.add(gap.start, await _piece(web, url, credentials, gap.start, gap.length))
        except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError):
            raise DownloadFailed(f"{shown(url)} is not a sound zip archive.") from None
    header = await _piece(web, url, credentials, found.header_offset, _LOCAL_HEADER.size)
    signature, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    start = found.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    if signature != b"PK\x03\x04" or start + found.compress_size > size:
        raise DownloadFailed(f"{shown(url)} is not a sound zip archive.")
    return Member(start, found.compress_size, found.file_size, found.CRC, _METHODS[found.compress_type])


def inflate(packed: Path, member: Member, into: Partial) -> None:
    """Append a deflated member's bytes, unpacked, to `into`; never more than it has announced. Blocking."""
    require_room(into.path.parent, member.size)
    stream, written, crc = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0
    try:
        with packed.open("rb") as file:
            while data := stream.unconsumed_tail or file.read(1 << 20):
                piece = stream.decompress(data, 1 << 20)
                written, crc = written + len(piece), zlib.crc32(piece, crc)
                if written > member.size:
                    raise Unusable(f"{into.path.name}: unpacks to more than the {member.size} bytes that were announced.")
                into.append(piece)
    except zlib.error:
        raise Unusable(f"{into.path.name}: the archive is damaged.") from None
    if written != member.size or crc != member.crc:
        raise Unusable(f"{into.path.name}: the archive is damaged.")


def extract(archive_path: Path, name: str, size: int | None, into: Partial) -> None:
    """Append one member of a whole archive to `into`. `size`: what it must unpack to, if known. Blocking."""
    label = archive_path.name
    try:
        with _Bounded(archive_path) as whole, zipfile.ZipFile(whole) as archive:
            found = _find(archive, name, label)
            check_size(found.file_size, found.compress_size, size, name)
            require_room(into.path.parent, found.file_size)
            with archive.open(found) as file:
                while piece := file.read(1 << 20):
                    into.append(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, struct.error, NotImplementedError):
        raise Unusable(f"{name}: the archive is damaged.") from None
    if into.held != found.file_size:
        raise Unusable(f"{name}: the archive is damaged.")


def check_size(size: int, packed: int, expected: int | None, name: str) -> None:
    """Raise Unusable for a member that is not as large as it must be, or that is a bomb."""
    if expected is not None and size > expected:
        raise Unusable(f"{name} would unpack to {size} bytes; at most {expected} were expected.")
    if expected is None and size > LARGEST_RATIO * max(packed, 1) + (1 << 20):
        raise Unusable(f"{name} would unpack from {packed} to {size} bytes, which no model does.")


def _found_in(sparse: _Sparse, name: str, where: str) -> zipfile.ZipInfo:
    with zipfile.ZipFile(sparse) as archive:
        return _find(archive, name, where)


def _find(archive: zipfile.ZipFile, name: str, where: str) -> zipfile.ZipInfo:
    found = [info for info in archive.infolist() if info.orig_filename == name and info.filename == name]
    if len(found) != 1:
        raise Unusable(f"{shown(where)} holds {len(found) or 'no'} files called {name[:200]!r}.")
    (info,) = found
    if info.is_dir() or info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        raise Unusable(f"{name[:200]!r} is a folder, is encrypted, or is packed in an unusual way.")
    return info


async def _piece(web: Web, url: str, credentials: Credentials | None, start: int, length: int) -> bytes:
    data, _ = await _range(web, url, credentials, f"bytes={start}-{start + length - 1}")
    if len(data) != length:
        raise DownloadFailed(f"{shown(url)} sends other bytes than it was asked for.")
    return data


async def _range(web: Web, url: str, credentials: Credentials | None, wanted: str) -> tuple[bytes, int | None]:
    """The bytes of a range, and how long the whole is; None: the server doesn't do ranges."""
    async with web.get(url, {"range": wanted}, credentials) as reply:
        if reply.status == 404:
            raise DownloadFailed(f"{shown(url)} does not exist (404).")
        total = reply.headers.get("content-range", "").rpartition("/")[2]
        if reply.status != 206 or not total.isdecimal():
            return b"", None
        data = bytearray()
        async for chunk in reply.content.iter_any():
            data += chunk
            if len(data) > LONGEST_DIRECTORY:
                raise DownloadFailed(f"{shown(url)} sends more bytes than it was asked for.")
        return bytes(data), int(total)
