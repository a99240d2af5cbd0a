"""When keys were last used: no query per request, written down in time and at the end, kept when the database can't."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import select, text, update

from openhearth.accounts import last_use
from openhearth.accounts.access import AccessTable
from openhearth.accounts.keys import Keys
from openhearth.accounts.tables import ApiKeyRow
from openhearth.store.database import Database


async def written(database: Database, key_id: str) -> int | None:
    async with database.session() as session:
        return await session.scalar(select(ApiKeyRow.last_used_at).where(ApiKeyRow.id == key_id))


async def test_a_clean_stop_writes_what_is_in_memory(database: Database) -> None:
    secret, row = await Keys(database).create("laptop")
    access = AccessTable(database)
    async with last_use.written_down(access, database):
        await access.check(secret)
        assert await written(database, row.id) is None
    assert abs((await written(database, row.id) or 0) - time.time()) < 5
    assert access.last_used == {}


async def test_it_is_written_while_the_server_runs(database: Database) -> None:
    secret, row = await Keys(database).create("laptop")
    access = AccessTable(database)
    async with last_use.written_down(access, database, every_s=0.05):
        await access.check(secret)
        for _ in range(100):
            if await written(database, row.id) is not None:
                break
            await asyncio.sleep(0.02)
        assert await written(database, row.id) is not None


async def test_a_later_use_is_never_overwritten(database: Database) -> None:
    secret, row = await Keys(database).create("laptop")
    async with database.session() as session:
        await session.execute(update(ApiKeyRow).values(last_used_at=2**40))
    access = AccessTable(database)
    await access.check(secret)
    await last_use.write(access, database)
    assert await written(database, row.id) == 2**40


async def test_a_database_that_fails_loses_nothing(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    secret, row = await Keys(database).create("laptop")
    access = AccessTable(database)
    await access.check(secret)
    async with database.session() as session:
        await session.execute(text("ALTER TABLE api_keys RENAME TO away"))
    await last_use.write(access, database)
    assert "can't be written down" in caplog.text
    async with database.session() as session:
        await session.execute(text("ALTER TABLE away RENAME TO api_keys"))
    await last_use.write(access, database)
    assert await written(database, row.id) is not None
