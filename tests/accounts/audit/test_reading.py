"""Reading the audit log: filters, pages, shapes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from openai.types.admin.organization import AuditLogListParams, AuditLogListResponse
from sqlalchemy import event

from openhearth.accounts.audit.reading import AuditLog
from openhearth.accounts.audit.record import record
from openhearth.accounts.audit.tables import AuditLogRow
from openhearth.errors import InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.wire.organization.audit_events import EVENT_TYPES
from openhearth.wire.organization.audit_logs import AuditLogsQuery, Range
from tests.support.accounts import a_user, logged_in
from tests.support.databases import sqlite_url
from tests.support.specification import conforms

TYPES = ("project.created", "group.created", "role.deleted")


@pytest.fixture
async def log(database: Database) -> AuditLog:
    """Sixty acts: ten seconds with six each, of three types, three projects, four actors (who have keys), two resources."""
    async with database.session() as session:
        for number in range(60):
            session.add(
                AuditLogRow(
                    id=f"audit_log-{number}",
                    effective_at=1000 + number // 6,
                    type=TYPES[number % 3],
                    project_id=None if number % 5 == 0 else f"proj_{number % 3}",
                    actor_id=f"user-{number % 4}",
                    actor_key_id=f"key_{number % 8}",
                    actor_email=f"{number % 4}@example.com",
                    resource_id=f"thing_{number % 2}",
                    actor={"type": "api_key"},
                    details={"id": f"thing_{number % 2}"},
                )
            )
    return AuditLog(database)


def wanted(number: int, **filters: Any) -> bool:
    """What the filters mean, said once more without a database."""
    of = {
        "project_ids": {None if number % 5 == 0 else f"proj_{number % 3}"},
        "event_types": {TYPES[number % 3]},
        "actor_ids": {f"user-{number % 4}", f"key_{number % 8}"},
        "actor_emails": {f"{number % 4}@example.com"},
        "resource_ids": {f"thing_{number % 2}"},
    }
    at, time = filters.pop("effective_at", Range()), 1000 + number // 6
    in_range = (at.gt is None or time > at.gt) and (at.gte is None or time >= at.gte)
    in_range = in_range and (at.lt is None or time < at.lt) and (at.lte is None or time <= at.lte)
    return in_range and all(of[name] & set(values) for name, values in filters.items())


FILTERS: dict[str, list[Any]] = {
    "project_ids": [["proj_1"], ["proj_1", "proj_2", "proj_1"], ["proj_unknown"]],
    "event_types": [["group.created"], ["role.deleted", "group.created"]],
    "actor_ids": [["user-1"], ["key_5"], ["user-1", "key_5", "key_2"]],
    "actor_emails": [["1@example.com"], ["1@example.com", "2@example.com"]],
    "resource_ids": [["thing_1"]],
    "effective_at": [Range(gt=1003), Range(gte=1003, lt=1007), Range(gt=1003, lte=1004), Range(gt=1005, lt=1005)],
}
COMBINATIONS = [dict(zip(names, values, strict=True)) for size in (0, 1, 2, 5) for names in itertools.combinations(FILTERS, size)
                for values in itertools.product(*(FILTERS[name][: 4 if size < 2 else 2] for name in names))]  # fmt: skip


async def test_filters_mean_what_they_say(log: AuditLog) -> None:
    for filters in COMBINATIONS:
        found, more = await log.find(AuditLogsQuery(limit=100, **filters))
        expected = [f"audit_log-{number}" for number in reversed(range(60)) if wanted(number, **filters)]
        assert [row["id"] for row in found] == expected, filters
        assert not more


async def test_every_filter_goes_by_an_index_in_order_of_time(tmp_path: Path) -> None:
    """What keeps a page quick in a log of a million rows: no scan of the table, no sorting of more than a page."""
    database = Database(sqlite_url(tmp_path))
    await database.prepare()
    asked: list[tuple[str, Any]] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
    for filters in COMBINATIONS:
        await AuditLog(database).find(AuditLogsQuery(**filters))
    queries = [(sql, values) for sql, values in asked if "FROM audit_logs" in sql]
    assert len(queries) > len(COMBINATIONS)
    async with database.engine.connect() as connection:
        for sql, values in queries:
            plan = [str(row[3]) for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
            read = [line for line in plan if line.startswith(("SCAN audit_logs", "SEARCH audit_logs"))]
            assert read
            assert all("USING INDEX audit_logs_by_" in line or "COVERING INDEX" in line or "PRIMARY KEY" in line for line in read), (
                sql,
                plan,
            )
    await database.close()


@pytest.mark.parametrize("filters", [{}, {"event_types": list(TYPES[:2])}, {"actor_ids": ["user-1", "key_2"], "resource_ids": ["thing_1"]}])
async def test_pages_go_back_and_forth(log: AuditLog, filters: dict[str, Any]) -> None:
    everything = [row["id"] for row in (await log.find(AuditLogsQuery(limit=100, **filters)))[0]]
    seen: list[str] = []
    more = True
    while more:
        page, more = await log.find(AuditLogsQuery(limit=7, after=seen[-1] if seen else None, **filters))
        seen += [row["id"] for row in page]
    assert seen == everything
    back, more = await log.find(AuditLogsQuery(limit=4, before=everything[9], **filters))
    assert [row["id"] for row in back] == everything[5:9]
    assert more
    back, more = await log.find(AuditLogsQuery(limit=4, before=everything[3], **filters))
    assert [row["id"] for row in back] == everything[:3]
    assert not more
    between, more = await log.find(AuditLogsQuery(limit=4, after=everything[2], before=everything[5], **filters))
    assert [row["id"] for row in between] == everything[3:5]
    assert not more


async def test_new_acts_do_not_shift_a_page(log: AuditLog, database: Database) -> None:
    first, _ = await log.find(AuditLogsQuery(limit=5))
    async with database.session() as session:
        record(session, None, "project.created", "proj_new")
    second, _ = await log.find(AuditLogsQuery(limit=5, after=first[-1]["id"]))
    assert [row["id"] for row in second] == [f"audit_log-{number}" for number in range(54, 49, -1)]


async def test_what_is_not_there_is_said(log: AuditLog) -> None:
    with pytest.raises(InvalidRequest, match="no type of event") as caught:
        await log.find(AuditLogsQuery(event_types=["project.painted"]))
    assert caught.value.param == "event_types"
    for cursor in ({"after": "audit_log-x"}, {"before": "audit_log-x"}):
        with pytest.raises(NotFound):
            await log.find(AuditLogsQuery(**cursor))
    with pytest.raises(InvalidRequest, match="tenant"):
        await log.find(AuditLogsQuery(event_types=["project.created"], tenant_only=True))
    assert await log.find(AuditLogsQuery(tenant_only=True)) == ([], False)


def test_event_types_are_the_official_clients() -> None:
    (listed,) = get_args(get_type_hints(AuditLogListParams)["event_types"])
    assert frozenset(get_args(listed)) == EVENT_TYPES


async def test_an_act_tells_who_from_where_and_what_became_of_what(database: Database) -> None:
    somebody = await logged_in(database, await a_user(database))
    async with database.session() as session:
        record(
            session,
            somebody,
            "group.updated",
            "group_1",
            changes={"group_name": "B"},
            before={"group_name": "A"},
            project_id="proj_default",
        )
        record(session, None, "group.deleted", "group_1", before={"group_name": "B"})
    (by_hand, shown), _ = await AuditLog(database).find(AuditLogsQuery())
    for row in (by_hand, shown):
        AuditLogListResponse.model_validate(row, strict=True)
        conforms(row, "AuditLog")
    assert shown["group.updated"] == {"id": "group_1", "changes_requested": {"group_name": "B"}, "before": {"group_name": "A"}}
    assert shown["actor"]["session"]["user"]["id"] == somebody.owner_id
    assert shown["actor"]["session"]["ip_address"] == "192.0.2.1"
    assert shown["project"] == {"id": "proj_default", "name": "Default project"}
    assert "project" not in by_hand
    assert by_hand["actor"] == {
        "type": "api_key",
        "api_key": {"id": "local", "type": "service_account", "service_account": {"id": "local"}},
    }
    found, _ = await AuditLog(database).find(AuditLogsQuery(actor_emails=[shown["actor"]["session"]["user"]["email"].upper()]))
    assert found == [shown]
