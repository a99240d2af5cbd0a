"""A file that grows beside its final name, with a journal so that any process can go on where another was killed.

Knows nothing of networks. Writing is blocking: call `append` in a thread.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

from openhearth.errors import DownloadFailed

MARGIN = 32 << 20
"""Bytes of the disk that a download leaves free."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Partial:
    """`path` holds `finished` whole parts (`base` bytes) and the beginning of the next one."""

    def __init__(self, path: Path, identity: str) -> None:
        """`identity`: what the bytes are of. A file left by something else is dropped."""
        self.path = path
        self._journal = path.with_name(path.name + ".json")
        self._new_journal = path.with_name(path.name + ".json.new")
        self._identity = identity
        self.finished = 0
        self.base = 0
        self.validator: str | None = None
        if not self._load():
            self.discard()

    @property
    def length(self) -> int:
        """Bytes in the file."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def held(self) -> int:
        """Bytes of the part that is under way."""
        return self.length - self.base

    def restart(self) -> None:
        """Forget the part that is under way."""
        if self.path.exists():
            os.truncate(self.path, self.base)
        self.remember(None)

    def remember(self, validator: str | None) -> None:
        """Keep what tells this version of the resource from the next (an ETag); done before its first byte is written."""
        self.validator = validator
        self._save()

    def finish_part(self) -> None:
        """The part is whole and safely on the disk."""
        self.sync()
        self.finished, self.base, self.validator = self.finished + 1, self.length, None
        self._save()

    def append(self, data: bytes | bytearray) -> None:
        """Write all of it. Raises DownloadFailed when the disk is full; what went in stays and is resumed from."""
        try:
            with self.path.open("ab", buffering=0) as file:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) or 0 :]
        except OSError as error:
            raise unwritable(self.path.parent, error) from None

    def sync(self) -> None:
        """Have the bytes on the disk."""
        with self.path.open("ab") as file:
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Remove the file and its journal."""
        self.path.unlink(missing_ok=True)
        self.forget()
        self.finished, self.base, self.validator = 0, 0, None

    def forget(self) -> None:
        """Remove the journal of a file that has been moved away."""
        self._journal.unlink(missing_ok=True)
        self._new_journal.unlink(missing_ok=True)

    def _load(self) -> bool:
        try:
            kept: dict[str, Any] = json.loads(self._journal.read_bytes())
            finished, base, validator = int(kept["finished"]), int(kept["base"]), kept["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if kept.get("identity") != self._identity or not 0 <= base <= self.length or not isinstance(validator, str | None):
            return False
        self.finished, self.base, self.validator = finished, base, validator
        return True

    def _save(self) -> None:
        kept = {"identity": self._identity, "finished": self.finished, "base": self.base, "validator": self.validator}
        try:
            self.path.touch()
            self._new_journal.write_text(json.dumps(kept))
            self._new_journal.replace(self._journal)
        except OSError as error:
            raise unwritable(self.path.parent, error) from None


def require_room(folder: Path, size: int) -> None:
    """Raise DownloadFailed unless `size` more bytes, and a margin, fit onto the folder's disk."""
    free = shutil.disk_usage(folder).free
    if free < size + MARGIN:
        raise DownloadFailed(
            f"No room in {folder}: {_mib(size)} more are to come and {_mib(MARGIN)} must stay free, but only {_mib(free)} are."
        )


def unwritable(folder: Path, error: OSError) -> DownloadFailed:
    """The error for a folder that can't be written to."""
    if error.errno in _FULL:
        return DownloadFailed(
            f"The disk of {folder} is full. What has arrived is kept: free some space, then try again to go on from there."
        )
    return DownloadFailed(f"{folder} can't be written to: {error.strerror or type(error).__name__}.")


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
