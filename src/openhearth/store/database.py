"""The database: one async SQLAlchemy engine, SQLite by default. Rooms declare their tables on `Table` in their own `tables.py`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase

from openhearth.errors import InvalidRequest, OpenHearthError, SetupError, StorageUnavailable
from openhearth.store.address import parse
from openhearth.store.connections import ANSWER_TIMEOUT_S, open_engine
from openhearth.store.upgrading import HEAD, revision_of, too_new, upgrade

__all__ = ["HEAD", "Database", "Table"]

log = logging.getLogger(__name__)


class Table(DeclarativeBase):
    """Every table of the house."""


class Database:
    """Sessions on one database. SQLite runs in WAL mode with full synchronisation of commits."""

    def __init__(self, url: str) -> None:
        """Raises SetupError if the URL can't be used, or its driver isn't there. Connects to nothing yet."""
        self.url = url
        self.address = parse(url)
        self.access_changes = 0
        """Commits of this process that changed who may do what; counted so that `accounts.access` looks again at once."""
        self.mail_waiting = asyncio.Event()
        """Set when this process has committed mail, so that `mail.delivery` looks at once."""
        self.silent = False
        """Whether the guard's last look got no answer in time; so that nobody else waits for one where there is another way."""
        self.generation = 0
        """How often SQLite's file was replaced by another."""
        self.engine = open_engine(self.address)
        self._file: tuple[int, int] | None = None
        self._away = False
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, info={"database": self})

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed at the end, rolled back on any exception.

        Raises StorageUnavailable; IntegrityError where a constraint forbids it, since to try again would not help there; InvalidRequest for
        what the database can't hold.
        """
        try:
            async with self._sessions.begin() as session:
                await self._connect(session)
                yield session
        except IntegrityError:
            raise
        except (DBAPIError, OSError) as error:
            raise _told(error) from error

    async def prepare(self) -> None:
        """Bring the schema to HEAD; any number of processes may do this at once.

        Raises SetupError if it is newer than this program, or can't be opened.
        """
        if self.address.path is not None:
            _make_file(self.address.path)
        try:
            found = await self.revision()
        except Exception as error:  # drivers have exceptions of their own for a host, a password or a certificate that is wrong
            raise SetupError(f"Can't open the database {self.address.shown}: {_reason(error)}.", exit_status=74) from error
        if found != HEAD:
            if found is not None and found > HEAD:
                raise too_new(found)
            await upgrade(self.address)

    async def ping(self) -> None:
        """Raises StorageUnavailable if the database doesn't answer."""
        async with self.session() as session:
            # SQLite answers SELECT 1 without a look at its file.
            await session.execute(text("SELECT version_num FROM alembic_version"))

    async def close(self) -> None:
        await self.engine.dispose()

    async def revision(self) -> str | None:
        """The schema it has; None: none yet."""
        async with self.engine.connect() as connection:
            return await connection.run_sync(revision_of)

    async def _connect(self, session: AsyncSession) -> None:
        try:
            await self._look_at_file()
            if self.address.kind == "sqlite":
                await session.connection()
            else:
                # To try a kept connection, and then to open another, may each take its own time limit, and the wait for a free one a third.
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await session.connection()
        except Exception as error:  # see `prepare`
            if not self._away:
                log.warning("the database can't be reached (%s)", type(error).__name__)
            self._away = True
            if isinstance(error, StorageUnavailable):
                raise
            raise StorageUnavailable("The database can't be reached now. Try again.") from error
        if self._away:
            log.warning("the database can be reached again")
        self._away = False

    async def _look_at_file(self) -> None:
        """Open connections would go on writing into a file that was deleted or replaced, and nobody would ever see it again."""
        if self.address.path is None:
            return
        try:
            found = os.stat(self.address.path)
        except OSError:
            if self._file is None:
                return  # not made yet
            raise StorageUnavailable("The database's file is gone. Put it back, or restore a backup.") from None
        identity = (found.st_dev, found.st_ino)
        if self._file is not None and identity != self._file:
            log.warning("the database's file was replaced by another")
            self.generation += 1
            await self.engine.dispose()
        self._file = identity


def _make_file(path: Path) -> None:
    """For its owner only, and so are the files that SQLite puts beside it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise SetupError(f"Can't make the database {path}: {error.strerror}.", exit_status=73) from None


def _reason(error: Exception) -> str:
    """By its type: messages may quote what is nobody's business. But what the URL asks for in vain (a certificate, mostly) is said."""
    name = type(error.orig if isinstance(error, DBAPIError) else error).__name__
    return f"{name} ({str(error)[:200].rstrip('.')})" if name == "ClientConfigurationError" else name


def _told(error: Exception) -> OpenHearthError:
    orig = error.orig if isinstance(error, DBAPIError) else error
    # SQLSTATE 22: PostgreSQL's "data exception". asyncpg itself refuses numbers that don't fit.
    if str(getattr(orig, "sqlstate", None) or "").startswith("22") or isinstance(getattr(orig, "__cause__", None), ValueError):
        return InvalidRequest("The request holds a value that can't be stored: a null character, or a number out of range.")
    return StorageUnavailable(f"The database can't do this now ({type(orig).__name__}). Try again.")
