"""A backup while the house goes on: SQLite's own copy, or PostgreSQL's rows as one moment saw them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from openhearth.errors import SetupError
from openhearth.store.address import Address, of_file
from openhearth.store.backups.files import appearing, copy_into, revision
from openhearth.store.backups.rows import copy
from openhearth.store.connections import open_patient_engine
from openhearth.store.upgrading import HEAD, revision_of, too_new, upgrade


async def back_up(address: Address, target: Path) -> str:
    """Write the backup, 0600, and return its schema; `target` appears when it is whole and checked. Raises SetupError."""
    if address.path is not None and not address.path.is_file():
        raise SetupError(f"There is no database yet: {address.path}.", exit_status=66)
    try:
        with appearing(target) as part:
            if address.path is not None:
                await asyncio.to_thread(copy_into, address.path, part)
            else:
                await _write_rows(address, part)
            return await asyncio.to_thread(revision, part)
    except OSError as error:
        raise SetupError(f"Can't write {target}: {error.strerror or type(error).__name__}.", exit_status=74) from error
    except (DBAPIError, sqlite3.Error) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise SetupError(f"The backup could not be made ({reason}).", exit_status=74) from error


async def _write_rows(address: Address, part: Path) -> None:
    engine = open_patient_engine(address)
    try:
        async with engine.connect() as source:
            source = await source.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            await _write_into(source, part)
    finally:
        await engine.dispose()


async def _write_into(source: AsyncConnection, part: Path) -> None:
    found = await source.run_sync(revision_of)
    if found is None:
        raise SetupError("There is nothing in the database yet.", exit_status=66)
    if found > HEAD:
        raise too_new(found)
    await upgrade(of_file(part), to=found, keep_copy=False)
    engine = open_patient_engine(of_file(part))
    try:
        async with engine.begin() as target:
            await copy(source, target)
    finally:
        await engine.dispose()
