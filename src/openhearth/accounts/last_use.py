"""When keys were last used: noted in memory by the guard's view, written down once a minute and at a clean stop.

No request waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import BindParameter, bindparam, or_, update

from openhearth.accounts.access import AccessTable
from openhearth.accounts.tables import ApiKeyRow
from openhearth.errors import StorageUnavailable
from openhearth.store.database import Database

log = logging.getLogger(__name__)

WRITE_EVERY_S = 60.0


@asynccontextmanager
async def written_down(access: AccessTable, database: Database, every_s: float = WRITE_EVERY_S) -> AsyncIterator[None]:
    """Write as long as the block runs, and once more at its end."""
    writing = asyncio.create_task(_write_for_ever(access, database, every_s))
    try:
        yield
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        await write(access, database)


async def write(access: AccessTable, database: Database) -> None:
    """What was noted since the last time. What can't be written now is kept for the next time."""
    noted = dict(access.last_used)
    if not noted:
        return
    used_at: BindParameter[int] = bindparam("used_at")
    key_id: BindParameter[str] = bindparam("key_id")
    # An update of the table and not of objects, so that many rows go in one batch; another process may know a later use.
    table = ApiKeyRow.__table__
    later = or_(table.c.last_used_at.is_(None), table.c.last_used_at < used_at)
    statement = update(table).where(table.c.id == key_id, later).values(last_used_at=used_at)  # type: ignore[arg-type]
    try:
        async with database.session() as session:
            connection = await session.connection()
            await connection.execute(statement, [{"key_id": key, "used_at": at} for key, at in noted.items()])
    except StorageUnavailable as error:
        log.warning("When keys were last used can't be written down now: %s", error.message)
        return
    for key, at in noted.items():
        if access.last_used.get(key) == at:
            del access.last_used[key]


async def _write_for_ever(access: AccessTable, database: Database, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        # Not cut off in the middle when the server stops: then it would be unknown whether it was written.
        await asyncio.shield(write(access, database))
