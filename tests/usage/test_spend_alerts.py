"""Spend alerts: each recipient is told once a month, with or without rivals."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.accounts.audit.tables import AuditLogRow
from openhearth.errors import NotFound
from openhearth.mail.tables import MailRow
from openhearth.store.database import Database
from openhearth.usage.calendar import month_of, next_month
from openhearth.usage.spend_alerts.service import SpendAlerts
from openhearth.usage.spend_alerts.telling import AlertTeller
from openhearth.usage.tables import SpendingRow
from openhearth.wire.organization.spending import NotificationChannel, SpendAlertsQuery, SpendAlertWrite

CENT = 10**7
MONTH = month_of(time.time())


def alert(cents: int, *recipients: str, prefix: str | None = None) -> SpendAlertWrite:
    return SpendAlertWrite(cents, "USD", "month", NotificationChannel("email", list(recipients or ("a@example.com",)), prefix))


async def spend(database: Database, cents: int, project: str = DEFAULT_PROJECT, month: int = MONTH) -> None:
    async with database.session() as session:
        row = await session.get(SpendingRow, (month, project))
        if row is None:
            session.add(SpendingRow(month=month, project_id=project, cost=cents * CENT))
        else:
            row.cost += cents * CENT


async def mails(database: Database) -> list[tuple[str, str]]:
    async with database.session() as session:
        return [(mail.recipient, mail.subject) for mail in await session.scalars(select(MailRow).order_by(MailRow.position))]


async def test_told_once_a_month(database: Database) -> None:
    now = float(MONTH + 86400)
    teller = AlertTeller(database, clock=lambda: now)
    await SpendAlerts(database).create(None, DEFAULT_PROJECT, alert(100, "a@example.com", "b@example.com", prefix="Careful"))
    await spend(database, 99)
    await teller.look()
    assert await mails(database) == []
    await spend(database, 1)
    await teller.look()
    await spend(database, 500)
    await teller.look()
    name = time.strftime("%Y-%m", time.gmtime(MONTH))
    assert await mails(database) == [(who, f"Careful: $1.00 reached in {name}") for who in ("a@example.com", "b@example.com")]
    now = next_month(MONTH) + 1.0
    await teller.look()
    assert len(await mails(database)) == 2
    await spend(database, 100, month=next_month(MONTH))
    await teller.look()
    assert len(await mails(database)) == 4
    now -= 86400
    await teller.look()
    assert len(await mails(database)) == 4


async def test_the_organizations_counts_all_projects_and_rivals_tell_once(database: Database) -> None:
    told: list[tuple[str, str, dict[str, Any]]] = []

    async def announce(_session: AsyncSession, project: str, event: str, data: dict[str, Any]) -> None:
        told.append((project, event, data))

    made = await SpendAlerts(database).create(None, None, alert(100))
    await spend(database, 60, "proj_a")
    await spend(database, 60, "proj_b")
    tellers = [AlertTeller(database, announce) for _ in range(5)]
    await asyncio.gather(*(teller.look() for teller in tellers))
    assert len(await mails(database)) == 1
    ((project, event, data),) = told
    assert (project, event, data["id"], data["spent_amount"]) == (DEFAULT_PROJECT, "organization.spend_alert.triggered", made.id, 120)


async def test_what_fails_is_told_at_the_next_look(database: Database) -> None:
    async def broken(*_given: object) -> None:
        raise RuntimeError

    await SpendAlerts(database).create(None, None, alert(100))
    await spend(database, 100)
    with pytest.raises(RuntimeError):
        await AlertTeller(database, broken).look()
    assert await mails(database) == []
    await AlertTeller(database).look()
    assert len(await mails(database)) == 1


async def test_a_new_threshold_is_told_again(database: Database) -> None:
    alerts, teller = SpendAlerts(database), AlertTeller(database)
    made = await alerts.create(None, None, alert(100))
    await spend(database, 100)
    await teller.look()
    await alerts.update(None, None, made.id, alert(100, "b@example.com"))
    await teller.look()
    assert len(await mails(database)) == 1
    await alerts.update(None, None, made.id, alert(200, "b@example.com"))
    await teller.look()
    assert len(await mails(database)) == 1
    await spend(database, 100)
    await teller.look()
    assert [recipient for recipient, _subject in await mails(database)] == ["a@example.com", "b@example.com"]


async def test_pages_both_ways(database: Database) -> None:
    alerts = SpendAlerts(database)
    ids = [(await alerts.create(None, None, alert(cents))).id for cents in range(1, 8)]
    await alerts.create(None, DEFAULT_PROJECT, alert(1))

    async def page(**query: Any) -> list[str]:
        found = await alerts.find(None, None, SpendAlertsQuery(**query))
        return [one.id for one in found[: query.get("limit", 20)]]

    assert await page() == ids
    assert await page(order="desc") == ids[::-1]
    assert await page(after=ids[2], limit=2) == ids[3:5]
    assert await page(before=ids[5], limit=2) == ids[3:5]
    assert await page(before=ids[2], limit=2, order="desc") == ids[4:2:-1]
    assert await page(after=ids[1], before=ids[4]) == ids[2:4]
    with pytest.raises(NotFound):
        await page(after="alert_nope")


async def test_the_audit_log_has_before_and_after(database: Database) -> None:
    alerts = SpendAlerts(database)
    made = await alerts.create(None, DEFAULT_PROJECT, alert(100))
    await alerts.update(None, DEFAULT_PROJECT, made.id, alert(200))
    await alerts.delete(None, DEFAULT_PROJECT, made.id)
    with pytest.raises(NotFound):
        await alerts.get(None, DEFAULT_PROJECT, made.id)
    async with database.session() as session:
        rows = (await session.scalars(select(AuditLogRow).order_by(AuditLogRow.position))).all()
    assert [(row.type, row.project_id, row.actor_id) for row in rows] == [("project.updated", DEFAULT_PROJECT, "local")] * 3
    changed = rows[1].details
    assert changed["before"]["spend_alert"]["threshold_amount"] == 100
    assert changed["changes_requested"]["spend_alert"]["threshold_amount"] == 200
    assert rows[2].details["changes_requested"]["spend_alert"] == {"id": made.id, "deleted": True}


async def test_other_projects_alerts_are_not_there(database: Database) -> None:
    alerts = SpendAlerts(database)
    made = await alerts.create(None, None, alert(100))
    with pytest.raises(NotFound):
        await alerts.get(None, DEFAULT_PROJECT, made.id)
    with pytest.raises(NotFound, match="No project"):
        await alerts.create(None, "proj_nope", alert(1))
