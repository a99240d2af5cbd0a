"""The database: prepared, upgraded, and refused when it is newer than the program."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest
from sqlalchemy import text

import openhearth
from openhearth.errors import SetupError
from openhearth.store.database import HEAD, Database, Table


def register_all_tables() -> None:
    """Import every `tables.py` of the house."""
    for module in pkgutil.walk_packages(openhearth.__path__, "openhearth."):
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'house.db'}"


async def test_prepare_is_idempotent_and_reaches_head(tmp_path: Path) -> None:
    database = Database(url(tmp_path))
    await database.prepare()
    await database.prepare()
    assert await database.revision() == HEAD
    await database.ping()
    await database.close()


async def test_the_tables_and_the_migrations_agree(database: Database) -> None:
    """Tables as the code declares them are what the migrations make, in both databases."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    register_all_tables()
    async with database.engine.connect() as connection:
        differences = await connection.run_sync(lambda sync: compare_metadata(MigrationContext.configure(sync), Table.metadata))
    assert differences == []


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    database = Database(url(tmp_path))
    await database.prepare()
    async with database.session() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SetupError, match="newer") as caught:
        await database.prepare()
    await database.close()
    assert caught.value.exit_status == 65


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "house.db").write_bytes(b"not a database at all" * 100)
    database = Database(url(tmp_path))
    with pytest.raises(SetupError, match="Can't open"):
        await database.prepare()
    await database.close()


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite://user:hunter2@/x.db", "sqlite:///x.db", "nonsense", "oracle+nothing://user:hunter2@host/x"]
)
def test_a_wrong_url_is_explained_without_its_password(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError) as caught:
        Database(url)
    assert caught.value.exit_status == 78
    assert "hunter2" not in caught.value.message
