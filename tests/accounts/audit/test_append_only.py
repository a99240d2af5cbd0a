"""The audit log is append-only: the database itself refuses everything else."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from openhearth.accounts.audit.reading import AuditLog
from openhearth.accounts.audit.record import record
from openhearth.errors import StorageUnavailable
from openhearth.store.database import Database
from openhearth.wire.organization.audit_logs import AuditLogsQuery

BOTH, SQLITE, POSTGRESQL = ("sqlite", "postgresql"), ("sqlite",), ("postgresql",)
ROW = "id, 1, type, null, null, null, null, null, actor, details FROM audit_logs"
ATTEMPTS = [
    (BOTH, "UPDATE audit_logs SET actor_email = 'somebody@else'"),
    (BOTH, "DELETE FROM audit_logs"),
    (BOTH, "DELETE FROM audit_logs WHERE position = 1"),
    (BOTH, "INSERT INTO audit_logs SELECT * FROM audit_logs WHERE true ON CONFLICT (position) DO UPDATE SET effective_at = 1"),
    (POSTGRESQL, "TRUNCATE audit_logs"),
    (POSTGRESQL, "TRUNCATE organizations, audit_logs CASCADE"),
    # SQLite's REPLACE deletes without a delete's trigger: it must be the insert's that refuses.
    (SQLITE, f"INSERT OR REPLACE INTO audit_logs SELECT position, {ROW}"),
    (SQLITE, f"REPLACE INTO audit_logs SELECT 99, {ROW}"),
]


@pytest.mark.parametrize(("kinds", "attempt"), ATTEMPTS)
async def test_nothing_is_changed_or_taken_away(database: Database, kinds: tuple[str, ...], attempt: str) -> None:
    if database.engine.dialect.name not in kinds:
        pytest.skip("these are another database's words")
    async with database.session() as session:
        record(session, None, "project.created", "proj_a", data={"name": "A"})
    before = await AuditLog(database).find(AuditLogsQuery())
    with pytest.raises((StorageUnavailable, IntegrityError)) as caught:
        await _execute(database, attempt)
    assert "append-only" in str(caught.value.__cause__ or caught.value)
    assert await AuditLog(database).find(AuditLogsQuery()) == before


async def test_an_act_that_fails_leaves_no_row(database: Database) -> None:
    with pytest.raises(StorageUnavailable):
        await _execute(database, "SELECT * FROM nothing_of_that_name", act="project.created")
    assert await AuditLog(database).find(AuditLogsQuery()) == ([], False)


async def test_only_events_that_openai_knows(database: Database) -> None:
    async with database.session() as session:
        with pytest.raises(ValueError, match="painted"):
            record(session, None, "project.painted", "proj_a")


async def _execute(database: Database, statement: str, act: str | None = None) -> None:
    async with database.session() as session:
        if act is not None:
            record(session, None, act, "proj_a")
        await session.execute(text(statement))
