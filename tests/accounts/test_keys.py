"""Keys: shown once, stored hashed, revoked at once; and the guard in front of every route."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import event

from openhearth.accounts.access import REFRESH_S, AccessTable
from openhearth.accounts.keys import Keys
from openhearth.accounts.organization.founding import found
from openhearth.errors import AuthenticationFailed, NotFound, SetupError
from openhearth.store.database import Database
from tests.support.databases import sqlite_url


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database)


@pytest.fixture
def access(database: Database) -> AccessTable:
    return AccessTable(database)


async def test_a_new_key_is_known_at_once(keys: Keys, access: AccessTable) -> None:
    secret, row = await keys.create("laptop")
    assert secret.startswith("sk-")
    assert (await access.check(secret)).key_id == row.id


async def test_the_key_itself_is_nowhere_on_disk(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path))
    await database.prepare()
    await found(database)
    secret, _row = await Keys(database).create("laptop")
    await database.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"laptop" in stored
    assert secret.encode() not in stored
    assert secret[7:-5].encode() not in stored


async def test_wrong_keys_are_refused_without_repeating_them(access: AccessTable) -> None:
    for wrong in ("sk-" + "x" * 40, "short", "", "\udcff" * 20):
        with pytest.raises(AuthenticationFailed) as caught:
            await access.check(wrong)
        assert not wrong or wrong not in caught.value.message


async def test_revocation_in_another_process_acts_within_the_refresh(keys: Keys, access: AccessTable, database: Database) -> None:
    secret, row = await keys.create("laptop")
    await access.check(secret)
    await Keys(database).revoke(row.prefix)
    await asyncio.sleep(REFRESH_S + 0.1)
    with pytest.raises(AuthenticationFailed):
        await access.check(secret)
    assert await keys.list() == []
    assert [old.id for old in await keys.list(revoked=True)] == [row.id]


async def test_only_one_key_is_revoked(keys: Keys) -> None:
    with pytest.raises(NotFound):
        await keys.revoke("key_nothing")


async def test_the_key_of_an_unattended_start(keys: Keys, access: AccessTable) -> None:
    given = "sk-from-the-environment-1234"
    await keys.ensure(given)
    await keys.ensure(given)
    assert len(await keys.list()) == 1
    await access.check(given)
    await keys.revoke((await keys.list())[0].id)
    await keys.ensure(given)
    with pytest.raises(AuthenticationFailed):
        await access.check(given)


async def test_processes_that_start_at_once_with_one_key(keys: Keys, access: AccessTable) -> None:
    given = "sk-from-the-environment-1234"
    await asyncio.gather(*(keys.ensure(given, project_id=None) for _ in range(4)))
    assert len(await keys.list()) == 1
    assert (await access.check(given)).kind == "admin"


async def test_a_key_that_is_known_costs_no_query(keys: Keys, access: AccessTable, database: Database) -> None:
    secret, _row = await keys.create("laptop")
    await access.check(secret)
    asked: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    for _ in range(50):
        await access.check(secret)
    for _ in range(50):
        with pytest.raises(AuthenticationFailed):
            await access.check("sk-proj-" + "x" * 40)
    # The view may have grown old meanwhile: then it is one look at the organization's version.
    assert len(asked) <= 1


@pytest.mark.parametrize("weak", ["short", "has a blank in the middle", "ünicode-ünicode-ünicode"])
async def test_weak_keys_are_refused(keys: Keys, weak: str) -> None:
    with pytest.raises(SetupError):
        await keys.ensure(weak)


async def test_admitted_keys_live_in_memory_only(access: AccessTable, database: Database) -> None:
    access.admit("sk-local-1234567890", "local")
    assert (await access.check("sk-local-1234567890")).key_id == "local"
    with pytest.raises(AuthenticationFailed):
        await AccessTable(database).check("sk-local-1234567890")
