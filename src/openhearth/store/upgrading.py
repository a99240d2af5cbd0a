"""Brings a database's schema to the program's: once, by one process at a time, wholly or not at all.

Both databases change their schema in transactions, so a migration that fails leaves the old one. A SQLite file is copied first, besides.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from openhearth.errors import SetupError
from openhearth.store.address import Address
from openhearth.store.backups.files import copy_atomically
from openhearth.store.connections import open_patient_engine

HEAD = "0006"
"""The newest migration; a test compares it with the migrations folder."""
_LOCK = 0x6F70656E68656172
"""PostgreSQL's advisory lock of whoever changes the schema or restores."""

log = logging.getLogger(__name__)


async def upgrade(address: Address, *, to: str = HEAD, keep_copy: bool = True) -> str | None:
    """Migrate to `to`, if need be, and return the revision that was found. Raises SetupError."""
    engine = open_patient_engine(address)
    try:
        async with engine.begin() as connection:
            await take_turn(connection)
            found = await connection.run_sync(revision_of)
            if found == to:
                return found
            if found is not None and keep_copy and address.path is not None:
                await asyncio.to_thread(_keep_copy, address.path, to)
            await migrate(connection, found, to)
    except (DBAPIError, OSError) as error:
        raise SetupError(
            f"The database's schema could not be upgraded ({_named(error)}); it is as it was before. {address.shown}", exit_status=74
        ) from error
    finally:
        await engine.dispose()
    if found is not None:
        log.info("database upgraded from schema %s to %s", found, to)
    return found


def revision_of(connection: Connection) -> str | None:
    """The schema it has; None: none yet."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


async def take_turn(connection: AsyncConnection) -> None:
    """Wait until no other process changes the schema, until this transaction ends. SQLite's BEGIN IMMEDIATE has done it already."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def migrate(connection: AsyncConnection, found: str | None, to: str = HEAD) -> None:
    """Run the migrations in this connection's transaction. Raises SetupError for a schema that this program doesn't know."""
    await connection.run_sync(_migrate, found, to)


def too_new(found: str) -> SetupError:
    return SetupError(
        f"The database has schema {found}, which is newer than this program knows ({HEAD}). Upgrade openhearth.", exit_status=65
    )


def _migrate(connection: Connection, found: str | None, to: str) -> None:
    # Alembic costs a sixth of a second to import, so only when there is something to do.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        if found is not None and "Can't locate revision" in str(error):
            raise too_new(found) from error
        raise


def _keep_copy(path: Path, to: str) -> None:
    """A copy beside the file; those of earlier upgrades go."""
    copy = path.with_name(f"{path.name}.before-{to}")
    copy_atomically(path, copy)
    log.info("before the upgrade the database was copied to %s", copy)
    for older in path.parent.glob(f"{path.name}.before-*"):
        if older != copy:
            older.unlink(missing_ok=True)


def _named(error: Exception) -> str:
    return type(error.orig if isinstance(error, DBAPIError) else error).__name__
