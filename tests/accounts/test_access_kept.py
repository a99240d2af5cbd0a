"""What the guard knows while the database is away: the last view, for a bounded time, unless it is known to be outdated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openhearth.accounts import access as module
from openhearth.accounts.access import AccessTable
from openhearth.accounts.keys import Keys
from openhearth.accounts.organization.founding import found
from openhearth.errors import AuthenticationFailed, StorageUnavailable
from openhearth.store.database import Database
from tests.support.databases import sqlite_url

STRANGER = "sk-made-by-another-process-0123456789"


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFRESH_S", 0.02)
    monkeypatch.setattr(module, "KEPT_S", 0.6)


@pytest.fixture
async def house(tmp_path: Path) -> Database:
    database = Database(sqlite_url(tmp_path))
    await database.prepare()
    await found(database)
    return database


async def test_the_last_view_counts_for_a_while_and_then_no_more(house: Database, tmp_path: Path) -> None:
    table = AccessTable(house)
    key, _ = await Keys(house).create("a")
    await table.check(key)
    (tmp_path / "house.db").rename(tmp_path / "away")
    await asyncio.sleep(0.05)
    await table.check(key)
    await asyncio.sleep(0.05)
    with pytest.raises(StorageUnavailable):
        await table.check(STRANGER)
    await asyncio.sleep(0.6)
    with pytest.raises(StorageUnavailable):
        await table.check(key)
    (tmp_path / "away").rename(tmp_path / "house.db")
    await asyncio.sleep(0.05)
    await table.check(key)
    with pytest.raises(AuthenticationFailed):
        await table.check(STRANGER)
    await house.close()


async def test_a_view_that_is_known_to_be_outdated_does_not_count(house: Database, tmp_path: Path) -> None:
    """This process has revoked a key, and the database went away before it was read again."""
    table = AccessTable(house)
    key, row = await Keys(house).create("a")
    await table.check(key)
    await Keys(house).revoke(row.id)
    (tmp_path / "house.db").rename(tmp_path / "away")
    with pytest.raises(StorageUnavailable):
        await table.check(key)
    (tmp_path / "away").rename(tmp_path / "house.db")
    await asyncio.sleep(0.05)
    with pytest.raises(AuthenticationFailed):
        await table.check(key)
    await house.close()


async def test_before_the_first_view_nothing_counts(house: Database, tmp_path: Path) -> None:
    (tmp_path / "house.db").rename(tmp_path / "away")
    await house.close()
    with pytest.raises(StorageUnavailable):
        await AccessTable(house).check(STRANGER)


async def test_a_change_counts_for_the_request_that_comes_after_it(house: Database) -> None:
    """Also while a reading goes on that began before."""
    table = AccessTable(house)
    key, row = await Keys(house).create("a")
    await table.check(key)
    for _ in range(20):
        await asyncio.sleep(0.021)
        early = asyncio.create_task(table.check(key))
        await asyncio.sleep(0)
        key_of_now, row_of_now = await Keys(house).create("b")
        await table.check(key_of_now)
        await Keys(house).revoke(row_of_now.id)
        with pytest.raises(AuthenticationFailed):
            await table.check(key_of_now)
        await early
    assert row.revoked_at is None
    await house.close()
