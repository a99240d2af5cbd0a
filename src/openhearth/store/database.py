"""The database: one async SQLAlchemy engine, SQLite by default. Rooms declare their tables on `Table` in their own `tables.py`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from openhearth.errors import SetupError, StorageUnavailable

HEAD = "0006"
"""The newest migration; a test compares it with the migrations folder."""


class Table(DeclarativeBase):
    """Every table of the house."""


class Database:
    """Sessions on one database. SQLite runs in WAL mode with full synchronisation of commits."""

    def __init__(self, url: str) -> None:
        self.url = url = _with_driver(url)
        self.access_changes = 0
        """Commits of this process that changed who may do what; counted so that `accounts.access` looks again at once."""
        self.mail_waiting = asyncio.Event()
        """Set when this process has committed mail, so that `mail.delivery` looks at once."""
        try:
            if make_url(url).get_backend_name() == "sqlite" and (path := make_url(url).database):
                Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.engine = create_async_engine(url, json_serializer=_as_json)
        except (ArgumentError, NoSuchModuleError, ImportError, InvalidRequestError) as error:
            raise SetupError(
                f"database_url is not one that can be used here ({type(error).__name__}); it looks like sqlite+aiosqlite:////folder/house.db.",
                exit_status=78,
            ) from None
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine.sync_engine, "connect", _configure_sqlite)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, info={"database": self})

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed at the end, rolled back on any exception.

        Raises StorageUnavailable, and IntegrityError where a constraint forbids it: to try again would not help there.
        """
        try:
            async with self._sessions.begin() as session:
                await _connect(session)
                yield session
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise StorageUnavailable(f"The database can't do this now ({type(error.orig).__name__}). Try again.") from error

    async def prepare(self) -> None:
        """Bring the schema to HEAD. Raises SetupError if it is newer than this program, or can't be opened."""
        try:
            found = await self.revision()
        except (DBAPIError, OSError) as error:
            raise SetupError(f"Can't open the database {self.shown_url}: {type(error).__name__}.", exit_status=74) from error
        if found != HEAD:
            await asyncio.to_thread(_upgrade, self.url, found)

    async def ping(self) -> None:
        """Raises StorageUnavailable if the database doesn't answer."""
        async with self.session() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return make_url(self.url).render_as_string(hide_password=True)

    async def revision(self) -> str | None:
        """The schema it has; None: none yet."""
        async with self.engine.connect() as connection:
            known = await connection.run_sync(lambda sync: sync.dialect.has_table(sync, "alembic_version"))
            if not known:
                return None
            return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()


async def _connect(session: AsyncSession) -> None:
    """Apart from what is done with it, because a server that can't be reached is an OSError, as much else is."""
    try:
        await session.connection()
    except (OSError, PoolTimeout) as error:
        raise StorageUnavailable(f"The database can't be reached now ({type(error).__name__}). Try again.") from error


def _with_driver(url: str) -> str:
    """`postgresql://...` and `postgres://...`, as they are usually written, name no driver; ours is asyncpg."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+asyncpg://{rest}" if separator and scheme in ("postgresql", "postgres") else url


def _as_json(value: Any) -> str:
    """Letters as they are: SQLite looks for keys as they are written."""
    return json.dumps(value, ensure_ascii=False)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _upgrade(url: str, found: str | None) -> None:
    # Alembic costs a sixth of a second to import, so only when there is something to do.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        if found is not None and "Can't locate revision" in str(error):
            raise SetupError(
                f"The database has schema {found}, which is newer than this program knows ({HEAD}). Upgrade openhearth.",
                exit_status=65,
            ) from error
        raise
