"""A backup put back, into either database: checked first, brought to the program's schema, and then all of it or nothing.

Whoever calls it holds the data folder, so that no server of it runs. Servers elsewhere on the same PostgreSQL are noticed here.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from openhearth.errors import SetupError
from openhearth.store.address import Address, of_file
from openhearth.store.backups.files import copy_into, replace_database, revision
from openhearth.store.backups.rows import VERSIONS, clear, copy, count
from openhearth.store.connections import APPLICATION, open_patient_engine
from openhearth.store.upgrading import HEAD, migrate, revision_of, take_turn, too_new, upgrade


async def restore(address: Address, backup: Path, *, force: bool = False) -> str:
    """Put the backup in the database's place and return the schema that it had. Raises SetupError, and then nothing has changed.

    `force`: also over a database that has something in it.
    """
    found = await asyncio.to_thread(revision, backup)
    if found > HEAD:
        raise too_new(found)
    folder = address.path.parent if address.path else None
    try:
        with TemporaryDirectory(prefix=".restore-", dir=folder) as scratch:
            copied = Path(scratch, "backup.db")
            await asyncio.to_thread(copy_into, backup, copied)
            await upgrade(of_file(copied), keep_copy=False)
            if address.path is not None:
                await asyncio.to_thread(_into_sqlite, address.path, copied, force)
            else:
                await _into_postgresql(address, copied, force)
    except (OSError, sqlite3.Error) as error:
        raise SetupError(f"Restoring failed ({error}); the database is as it was.", exit_status=74) from error
    except DBAPIError as error:
        raise SetupError(f"Restoring failed ({type(error.orig).__name__}); the database is as it was.", exit_status=74) from error
    return found


def _into_sqlite(path: Path, copied: Path, force: bool) -> None:
    def refuse(connection: sqlite3.Connection) -> None:
        if not force and _has_rows(connection):
            raise _occupied(str(path))

    try:
        replace_database(path, copied, refuse_if=refuse)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        if not force:
            raise SetupError(
                f"{path} is damaged or no database. --force sets it aside as {path.name}.damaged and restores.", exit_status=65
            ) from None
        _set_aside(path)
        replace_database(path, copied, refuse_if=refuse)
    path.chmod(0o600)


def _set_aside(path: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.replace(path.with_name(f"{path.name}.damaged{end}"))


def _has_rows(connection: sqlite3.Connection) -> bool:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'") if name != VERSIONS]
    return any(connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() for name in tables)  # noqa: S608 - a table's own name


async def _into_postgresql(address: Address, copied: Path, force: bool) -> None:
    source_engine, target_engine = open_patient_engine(of_file(copied)), open_patient_engine(address)
    try:
        async with source_engine.connect() as source, target_engine.begin() as target:
            await take_turn(target)
            await _refuse_if_in_use(target)
            found = await target.run_sync(revision_of)
            if found is not None and found > HEAD:
                raise too_new(found)
            if found is not None and not force and any((await count(target)).values()):
                raise _occupied(address.shown)
            await migrate(target, found)
            await clear(target)
            await copy(source, target)
    finally:
        await source_engine.dispose()
        await target_engine.dispose()


async def _refuse_if_in_use(target: AsyncConnection) -> None:
    others = await target.scalar(
        text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = :ours"),
        {"ours": APPLICATION},
    )
    if others:
        raise SetupError("A server or another openhearth command is connected to this database. Stop it first.", exit_status=75)


def _occupied(name: str) -> SetupError:
    return SetupError(f"There is something in {name} already. --force replaces it; `openhearth db backup FILE` keeps it.", exit_status=73)
