"""SQLite files as files: copied while others write, checked, made whole or not at all. Blocks: call it in a thread."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from openhearth.errors import SetupError

LOCK_TIMEOUT_S = 10.0


def copy_atomically(source: Path, target: Path) -> None:
    """A consistent copy as one file, readable by its owner only; others may read and write the source meanwhile."""
    with appearing(target) as part:
        copy_into(source, part)


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """An empty file beside `target`, which takes its place at the end of the block, or is gone if that fails."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield part
        _synchronise(part)
        part.replace(target)
        _synchronise(target.parent)
    finally:
        for left in (part, *(part.with_name(part.name + end) for end in ("-journal", "-wal", "-shm"))):
            left.unlink(missing_ok=True)


def copy_into(source: Path, target: Path) -> None:
    """Copy a SQLite database over a file. In one transaction: as long as it isn't whole, the target is what it was."""
    with closing(reading(source)) as from_here, closing(sqlite3.connect(target, timeout=LOCK_TIMEOUT_S)) as to_there:
        from_here.backup(to_there)
        to_there.execute("PRAGMA journal_mode=DELETE")


def reading(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, and doesn't make the file."""
    return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, timeout=LOCK_TIMEOUT_S)


def revision(path: Path) -> str:
    """The schema of a backup that is sound. Raises SetupError for what isn't one."""
    if not path.is_file():
        raise SetupError(f"{path} is not a file.", exit_status=66)
    try:
        with closing(reading(path)) as connection:
            verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone() if "alembic_version" in tables else None
    except sqlite3.DatabaseError as error:
        raise SetupError(f"{path} is not a backup, or is damaged ({error}).", exit_status=65) from None
    if verdict != "ok":
        raise SetupError(f"{path} is damaged: {str(verdict)[:200]}.", exit_status=65)
    if found is None or "api_keys" not in tables:
        raise SetupError(f"{path} is not a backup of openhearth: it has none of its tables.", exit_status=65)
    return str(found[0])


def replace_database(path: Path, content: Path, *, refuse_if: Callable[[sqlite3.Connection], None]) -> None:
    """Put `content` into a database that nobody else has open. Raises SetupError if someone has; what `refuse_if` raises.

    As long as it isn't whole, the database is what it was.
    """
    with closing(sqlite3.connect(path, timeout=2.0)) as target, closing(reading(content)) as source:
        target.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            # Not to be had while another connection, even an idle one, has a WAL database open.
            target.execute("PRAGMA journal_mode=DELETE").fetchone()
            target.execute("BEGIN EXCLUSIVE")
            target.rollback()
            refuse_if(target)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise SetupError("Another program has the database open. Stop it first.", exit_status=75) from None
        source.backup(target)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
