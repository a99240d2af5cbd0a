"""What every installation begins with, also when several processes begin at once."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from openhearth.accounts.organization.founding import found
from openhearth.accounts.tables import OrganizationRow, ProjectRow, UserRow
from openhearth.store.database import Database


async def test_many_processes_found_one_organization(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    await databases[0].prepare()
    await asyncio.gather(*(found(database) for database in databases))
    async with databases[0].session() as session:
        counts = [await session.scalar(select(func.count()).select_from(table)) for table in (OrganizationRow, UserRow, ProjectRow)]
    assert counts == [1, 1, 1]
    for database in databases:
        await database.close()
