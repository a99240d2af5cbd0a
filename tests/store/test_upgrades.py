"""Upgrades from every earlier schema with data in it, on both databases; and what is left when one fails."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from openhearth.accounts.access import DEFAULT_PROJECT, AccessTable, digest
from openhearth.accounts.organization.founding import found
from openhearth.accounts.principal import Principal
from openhearth.errors import SetupError
from openhearth.inference.stored_completions.service import StoredCompletions
from openhearth.store.address import parse
from openhearth.store.connections import open_patient_engine
from openhearth.store.database import HEAD, Database
from openhearth.store.upgrading import upgrade
from tests.support.databases import KINDS, Postgres, sqlite_url
from tests.support.samples import Rows, fill, read

EARLIER = [f"{number:04}" for number in range(1, int(HEAD))]
OLD_KEY = "sk-of-the-first-release-0123456789"
KEY_ROW = {"id": "key_old", "hash": digest(OLD_KEY), "project_id": DEFAULT_PROJECT, "revoked_at": None, "expires_at": None, "scopes": None}
COMPLETION_ROW = {
    "id": "chatcmpl-old",
    "project_id": DEFAULT_PROJECT,
    "model": "fake:chat",
    "metadata": '{"topic": "rivers"}',
    "completion": '{"id": "chatcmpl-old", "choices": []}',
    "messages": '[{"role": "user", "content": "Name three rivers."}]',
}


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres").empty()


def first_rows(revision: str) -> Rows:
    rows: Rows = {"api_keys": KEY_ROW, "stored_completions": COMPLETION_ROW}
    if revision == "0001":
        rows["api_keys"] = {name: KEY_ROW[name] for name in ("id", "hash", "project_id", "revoked_at")}
        return rows
    rows["users"] = {"id": "user-1", "email": "anna@example.org", "role": "owner", "banned_at": None}
    rows["projects"] = {"id": DEFAULT_PROJECT, "archived_at": None}
    rows["project_members"] = {"project_id": DEFAULT_PROJECT, "user_id": "user-1", "role": "owner"}
    rows["api_keys"] = {**KEY_ROW, "user_id": "user-1", "service_account_id": None}
    return rows


async def built(url: str, revision: str) -> Rows:
    """A database as a program of that time left it."""
    await upgrade(parse(url), to=revision)
    engine = open_patient_engine(parse(url))
    async with engine.begin() as connection:
        written = await fill(connection, first_rows(revision))
    await engine.dispose()
    return written


@pytest.mark.parametrize("revision", EARLIER)
async def test_everything_is_there_after_the_upgrade_and_works(empty_url: str, revision: str) -> None:
    written = await built(empty_url, revision)
    database = Database(empty_url)
    await database.prepare()
    assert await database.revision() == HEAD
    async with database.engine.connect() as connection:
        now = await read(connection)
    for table, row in written.items():
        (kept,) = now[table]
        assert {name: kept[name] for name in row} == row, table
    await found(database)
    await AccessTable(database).check(OLD_KEY)
    await database.close()


async def test_a_key_of_the_first_release_belongs_to_the_owner_and_the_default_project(empty_url: str) -> None:
    await built(empty_url, "0001")
    database = Database(empty_url)
    await database.prepare()
    await found(database, "anna@example.org")
    access = AccessTable(database)
    holder = await access.check(OLD_KEY)
    assert holder.project_id == DEFAULT_PROJECT
    assert access.membership.users[holder.owner_id] == "anna@example.org"
    principal = Principal(holder, DEFAULT_PROJECT)
    kept = await StoredCompletions(database).get(principal, "chatcmpl-old")
    assert kept["metadata"] == {"topic": "rivers"}
    await StoredCompletions(database).relabel(principal, "chatcmpl-old", {"topic": "lakes"})
    await database.close()


async def test_a_migration_that_fails_leaves_the_old_schema_and_its_data(empty_url: str) -> None:
    written = await built(empty_url, "0001")
    engine = open_patient_engine(parse(empty_url))
    async with engine.begin() as connection:
        # In the way of 0006, when 0002 to 0005 have been done.
        await connection.execute(text("CREATE TABLE webhook_endpoints (id INTEGER)"))
        await connection.execute(text("INSERT INTO webhook_endpoints VALUES (1)"))
    database = Database(empty_url)
    with pytest.raises(SetupError, match="as it was before"):
        await database.prepare()
    assert await database.revision() == "0001"
    async with engine.begin() as connection:
        now = await read(connection)
        assert set(now) == {"api_keys", "stored_completions", "webhook_endpoints"}
        assert now["api_keys"] == [written["api_keys"]]
        await connection.execute(text("DROP TABLE webhook_endpoints"))
    await database.prepare()
    assert await database.revision() == HEAD
    await database.close()
    await engine.dispose()


async def test_sqlite_is_copied_before_an_upgrade_and_the_last_copy_stays(tmp_path: Path) -> None:
    await built(sqlite_url(tmp_path), "0001")
    (tmp_path / "house.db.before-0003").write_bytes(b"of an upgrade long ago")
    database = Database(sqlite_url(tmp_path))
    await database.prepare()
    await database.prepare()
    await database.close()
    (copy,) = tmp_path.glob("house.db.before-*")
    assert copy.name == f"house.db.before-{HEAD}"
    assert copy.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert connection.execute("SELECT id FROM api_keys").fetchone() == ("key_old",)


async def test_a_new_database_needs_no_copy(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    await database.prepare()
    await database.close()
    assert not list(tmp_path.glob("*before*"))
    assert (tmp_path / "house.db").stat().st_mode & 0o777 == 0o600


async def test_processes_that_start_at_once_prepare_it_once(empty_url: str) -> None:
    """Real processes on one fresh database: each founds, each makes the key that all are given."""
    program = (
        "import asyncio, sys\n"
        "from openhearth.accounts.keys import Keys\n"
        "from openhearth.accounts.organization.founding import found\n"
        "from openhearth.store.database import Database\n"
        "async def main():\n"
        "    database = Database(sys.argv[1])\n"
        "    await database.prepare()\n"
        "    await found(database)\n"
        f"    await Keys(database).ensure({OLD_KEY!r})\n"
        "    await database.close()\n"
        "asyncio.run(main())\n"
    )
    import sys

    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, empty_url, stderr=asyncio.subprocess.PIPE) for _ in range(4)
    ]
    for process in processes:
        _, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
    database = Database(empty_url)
    async with database.engine.connect() as connection:
        rows = await read(connection)
    await database.close()
    assert [len(rows[name]) for name in ("organizations", "users", "projects", "project_members", "api_keys")] == [1] * 5


async def test_a_newer_schema_is_refused_by_both(empty_url: str, postgres: Postgres) -> None:
    database = Database(empty_url)
    await database.prepare()
    async with database.session() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SetupError, match="9999, which is newer than this program knows") as caught:
        await database.prepare()
    await database.close()
    assert caught.value.exit_status == 65
