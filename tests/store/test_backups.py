"""Backups and restores, from either database into either; what is refused, and that a failure changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from openhearth.accounts.access import DEFAULT_PROJECT, AccessTable, digest
from openhearth.accounts.organization.founding import found
from openhearth.accounts.principal import Principal
from openhearth.errors import SetupError
from openhearth.inference.stored_completions.service import StoredCompletions
from openhearth.inference.stored_completions.tables import StoredCompletionRow
from openhearth.store.address import of_file, parse
from openhearth.store.backups.restoring import restore
from openhearth.store.backups.writing import back_up
from openhearth.store.connections import open_patient_engine
from openhearth.store.database import HEAD, Database
from openhearth.store.upgrading import upgrade
from openhearth.wire.chat import ChatRequest
from tests.support.databases import KINDS, Postgres, sqlite_url
from tests.support.samples import fill, read

KEY = "sk-kept-in-the-backup-0123456789"
GIVEN: dict[str, dict[str, Any]] = {
    "users": {"id": "user-1", "email": "anna@example.org", "role": "owner", "banned_at": None},
    "projects": {"id": DEFAULT_PROJECT, "archived_at": None},
    "project_members": {"project_id": DEFAULT_PROJECT, "user_id": "user-1", "role": "owner"},
    "api_keys": {"hash": digest(KEY), "project_id": DEFAULT_PROJECT, "user_id": "user-1", "expires_at": None, "revoked_at": None},
    "stored_completions": {"project_id": DEFAULT_PROJECT, "position": 1_000_000_007},
}
MANY = 1234


@pytest.fixture(params=KINDS)
def source_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(_folder(tmp_path / "source")) if request.param == "sqlite" else request.getfixturevalue("postgres").empty()


@pytest.fixture(params=KINDS)
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(_folder(tmp_path / "target")) if request.param == "sqlite" else request.getfixturevalue("postgres").empty()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@asynccontextmanager
async def connection_to(url: str) -> AsyncIterator[AsyncConnection]:
    engine = open_patient_engine(parse(url))
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


async def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    async with connection_to(url) as connection:
        return await read(connection)


async def full(url: str) -> None:
    """A row in every table, `null` as JSON beside NULL, and many rows in one of them."""
    await upgrade(parse(url))
    async with connection_to(url) as connection:
        await fill(connection, GIVEN)
    database = Database(url)
    async with database.session() as session:
        for number in range(MANY):
            session.add(
                StoredCompletionRow(
                    id=f"chatcmpl-{number}", project_id="proj_other", model="m", created_at=number, labels={}, completion=None, messages=[]
                )
            )
    await database.close()


async def founded(url: str) -> Database:
    database = Database(url)
    await database.prepare()
    await found(database, "before@example.org")
    return database


async def backup_of(folder: Path, **given: Any) -> Path:
    """A small one, made of SQLite."""
    url = sqlite_url(_folder(folder / "made"))
    await upgrade(parse(url))
    async with connection_to(url) as connection:
        await fill(connection, {**GIVEN, **given})
    await back_up(parse(url), folder / "backup.db")
    return folder / "backup.db"


async def test_all_rows_come_back_in_either_database(source_url: str, target_url: str, tmp_path: Path) -> None:
    await full(source_url)
    backup = tmp_path / "backup.db"
    assert await back_up(parse(source_url), backup) == HEAD
    assert backup.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob(".*")), "something was left beside it"
    assert await restore(parse(target_url), backup) == HEAD
    before, after = await everything(source_url), await everything(target_url)
    assert all(before.values())
    assert len(before["stored_completions"]) == MANY + 1
    assert after == before


async def test_the_restored_house_works_and_numbers_go_on(source_url: str, target_url: str, tmp_path: Path) -> None:
    await full(source_url)
    await back_up(parse(source_url), tmp_path / "backup.db")
    await restore(parse(target_url), tmp_path / "backup.db")
    database = Database(target_url)
    await database.prepare()
    access = await AccessTable(database).check(KEY)
    stored = StoredCompletions(database)
    request = msgspec.convert({"model": "m", "messages": [{"role": "user", "content": "x"}]}, ChatRequest)
    await stored.keep(Principal(access, DEFAULT_PROJECT), request, {"id": "chatcmpl-new", "model": "m", "created": 1})
    async with database.session() as session:
        newest = (await session.execute(text("SELECT id FROM stored_completions ORDER BY position DESC LIMIT 1"))).scalar_one()
    assert newest == "chatcmpl-new"
    await database.close()


async def test_a_backup_is_one_moment_of_a_database_that_is_written(source_url: str, tmp_path: Path) -> None:
    """Each transaction writes two rows; a backup never has one without the other."""
    import asyncio

    database = await founded(source_url)

    async def write() -> None:
        for number in range(10_000):
            async with database.session() as session:
                for part in "ab":
                    session.add(
                        StoredCompletionRow(
                            id=f"{part}{number}", project_id=part, model="m", created_at=0, labels={}, completion={}, messages=[]
                        )
                    )
                    await session.flush()

    writing = asyncio.create_task(write())
    sizes = []
    for number in range(3):
        await asyncio.sleep(0.1)
        await back_up(parse(source_url), tmp_path / f"{number}.db")
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as backup:
            counted = dict(backup.execute("SELECT project_id, count(*) FROM stored_completions GROUP BY project_id"))
        assert counted["a"] == counted["b"]
        sizes.append(counted["a"])
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await database.close()
    assert sizes == sorted(set(sizes)), "nothing was written meanwhile"


@pytest.mark.parametrize("revision", ["0001", "0004"])
async def test_an_older_backup_is_upgraded(target_url: str, tmp_path: Path, revision: str) -> None:
    old = of_file(tmp_path / "old.db")
    await upgrade(old, to=revision)
    async with connection_to(old.url) as connection:
        written = await fill(connection, {})
    content = (tmp_path / "old.db").read_bytes()
    assert await restore(parse(target_url), tmp_path / "old.db") == revision
    assert (tmp_path / "old.db").read_bytes() == content
    database = Database(target_url)
    assert await database.revision() == HEAD
    await database.close()
    (key,) = (await everything(target_url))["api_keys"]
    assert key["hash"] == written["api_keys"]["hash"]


async def test_a_database_in_use_by_someone_is_not_replaced_without_force(target_url: str, tmp_path: Path) -> None:
    backup = await backup_of(tmp_path)
    await (await founded(target_url)).close()
    before = await everything(target_url)
    with pytest.raises(SetupError, match="--force") as caught:
        await restore(parse(target_url), backup)
    assert caught.value.exit_status == 73
    assert await everything(target_url) == before
    await restore(parse(target_url), backup, force=True)
    now = await everything(target_url)
    assert [user["email"] for user in now["users"]] == ["anna@example.org"]
    async with connection_to(target_url) as connection:
        with pytest.raises(Exception, match="append-only"):
            await connection.execute(text("DELETE FROM audit_logs"))


async def test_a_database_that_someone_has_open_is_not_replaced(target_url: str, tmp_path: Path) -> None:
    backup = await backup_of(tmp_path)
    database = await founded(target_url)
    await database.ping()
    with pytest.raises(SetupError, match="Stop it first") as caught:
        await restore(parse(target_url), backup, force=True)
    assert caught.value.exit_status == 75
    await database.ping()
    await database.close()
    assert [user["email"] for user in (await everything(target_url))["users"]] == ["before@example.org"]


def _garbage(path: Path, _good: Path) -> None:
    path.write_bytes(b"not a database" * 1000)


def _cut(path: Path, good: Path) -> None:
    path.write_bytes(good.read_bytes()[: good.stat().st_size // 2])


def _damaged(path: Path, good: Path) -> None:
    content = bytearray(good.read_bytes())
    content[4096 * 3 : 4096 * 9] = b"\xaa" * (4096 * 6)
    path.write_bytes(content)


def _foreign(path: Path, _good: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (id INTEGER)")


def _newer(path: Path, good: Path) -> None:
    path.write_bytes(good.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


@pytest.mark.parametrize("spoil", [_garbage, _cut, _damaged, _foreign, _newer])
async def test_what_is_no_sound_backup_is_refused(target_url: str, tmp_path: Path, spoil: Any) -> None:
    spoil(tmp_path / "bad.db", await backup_of(tmp_path))
    await (await founded(target_url)).close()
    before = await everything(target_url)
    with pytest.raises(SetupError) as caught:
        await restore(parse(target_url), tmp_path / "bad.db", force=True)
    assert caught.value.exit_status == 65
    assert await everything(target_url) == before


async def test_a_file_that_is_not_there_is_refused_and_not_made(target_url: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="not a file"):
        await restore(parse(target_url), tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


async def test_a_restore_that_fails_half_way_changes_nothing(postgres: Postgres, tmp_path: Path) -> None:
    """SQLite takes names of any length, PostgreSQL doesn't; it is noticed when other tables are written already."""
    backup = await backup_of(tmp_path, webhook_endpoints={"name": "x" * 5000})
    url = postgres.empty()
    await (await founded(url)).close()
    before = await everything(url)
    with pytest.raises(SetupError, match="webhook_endpoints"):
        await restore(parse(url), backup, force=True)
    assert await everything(url) == before


async def test_a_restore_without_room_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    backup = await backup_of(tmp_path)
    url = sqlite_url(_folder(tmp_path / "target"))
    await (await founded(url)).close()
    before = await everything(url)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, limits[1]))
    try:
        with pytest.raises(SetupError) as caught:
            await restore(parse(url), backup, force=True)
        with pytest.raises(SetupError):
            await back_up(parse(url), tmp_path / "second.db")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.exit_status == 74
    assert await everything(url) == before
    assert not (tmp_path / "second.db").exists()
    assert not [left for left in (tmp_path / "target").iterdir() if left.name.startswith(".")]


async def test_a_damaged_database_is_set_aside_when_forced(tmp_path: Path) -> None:
    backup = await backup_of(tmp_path)
    url = sqlite_url(tmp_path)
    (tmp_path / "house.db").write_bytes(b"all lost" * 4096)
    with pytest.raises(SetupError, match=r"house.db.damaged"):
        await restore(parse(url), backup)
    await restore(parse(url), backup, force=True)
    assert (tmp_path / "house.db.damaged").read_bytes().startswith(b"all lost")
    assert [user["email"] for user in (await everything(url))["users"]] == ["anna@example.org"]
