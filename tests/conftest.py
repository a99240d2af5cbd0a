"""Servers that tests share: one with the fake engine, one with the real models. Tests that kill things start their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from openhearth.accounts.organization.founding import found
from openhearth.store.database import Database
from tests.support.databases import KINDS, Postgres, postgres_server, sqlite_url
from tests.support.serving import RunningServer, started


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """`openhearth serve` with the models `fake:chat` and `fake:embed`, which all aliases mean."""
    with started(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    """The same for one test alone, which may kill its engines."""
    with started(tmp_path / "own") as running:
        yield running


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """`openhearth serve` with SmolLM2 and MiniLM."""
    from tests.support.pulled import link_models

    data_dir: Path = tmp_path_factory.mktemp("real")
    link_models(data_dir)
    with started(data_dir, config="") as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL for this process."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of either kind, without tables in SQLite's case: `prepare` makes them."""
    return sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres").prepared()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A new installation's database, of either kind: organization, owner and default project are there."""
    database = Database(database_url)
    await database.prepare()
    await found(database)
    yield database
    await database.close()
