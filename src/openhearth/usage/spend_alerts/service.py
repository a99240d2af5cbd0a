"""Making, listing, changing and deleting spend alerts. Who is told, and when, stands in `telling`. Knows no HTTP."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.audit.record import record
from openhearth.accounts.principal import Principal
from openhearth.errors import InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.usage.scope import Scope, scope_of
from openhearth.usage.tables import SpendAlertRow
from openhearth.wire.ids import new_id
from openhearth.wire.organization.spending import NotificationChannel, SpendAlert, SpendAlertDeleted, SpendAlertsQuery, SpendAlertWrite

READ, WRITE = "api.spend.read", "api.spend.write"
MOST = 100
"""Alerts of one project or of the organization."""


class SpendAlerts:
    """The alerts of one installation. `project_id` None: the organization's own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, actor: Principal | None, project_id: str | None, wanted: SpendAlertWrite) -> SpendAlert:
        """It is told in this month, too, if the costs are past it already."""
        async with self._database.session() as session:
            scope = await scope_of(session, actor, project_id, WRITE)
            if len((await session.scalars(select(SpendAlertRow.id).where(SpendAlertRow.scope_id == scope.id))).all()) >= MOST:
                raise InvalidRequest(f"There are {MOST} spend alerts here already, the most that are kept. Delete some.")
            row = SpendAlertRow(id=new_id("alert_", 24), scope_id=scope.id, created_at=int(time.time()), told_for=None, **_columns(wanted))
            session.add(row)
            shown = _shown(scope, row)
            _record(session, actor, scope, row.id, None, shown)
        return shown

    async def find(self, actor: Principal | None, project_id: str | None, query: SpendAlertsQuery) -> list[SpendAlert]:
        """At most `limit + 1`, so that one sees whether there are more. Raises NotFound for a cursor that isn't there."""
        wanted = select(SpendAlertRow)
        async with self._database.session() as session:
            scope = await scope_of(session, actor, project_id, READ)
            wanted = wanted.where(SpendAlertRow.scope_id == scope.id)
            forward = query.order == "asc"
            if query.after is not None:
                place = (await _row(session, scope, query.after, "after")).position
                wanted = wanted.where(SpendAlertRow.position > place if forward else SpendAlertRow.position < place)
            if query.before is not None:
                place = (await _row(session, scope, query.before, "before")).position
                wanted = wanted.where(SpendAlertRow.position < place if forward else SpendAlertRow.position > place)
            backward = query.before is not None and query.after is None
            # The page before a cursor is the nearest to it, so it is read from there and turned round.
            ascending = forward != backward
            order = SpendAlertRow.position.asc() if ascending else SpendAlertRow.position.desc()
            rows = (await session.scalars(wanted.order_by(order).limit(query.limit + 1))).all()
        shown = [_shown(scope, row) for row in rows]
        return [*shown[: query.limit][::-1], *shown[query.limit :]] if backward else shown

    async def get(self, actor: Principal | None, project_id: str | None, alert_id: str) -> SpendAlert:
        """Raises NotFound."""
        async with self._database.session() as session:
            scope = await scope_of(session, actor, project_id, READ)
            return _shown(scope, await _row(session, scope, alert_id))

    async def update(self, actor: Principal | None, project_id: str | None, alert_id: str, wanted: SpendAlertWrite) -> SpendAlert:
        """The whole new state. With a new threshold it may be told once more in this month. Raises NotFound."""
        async with self._database.session() as session:
            scope = await scope_of(session, actor, project_id, WRITE)
            row = await _row(session, scope, alert_id)
            before = _shown(scope, row)
            if row.threshold_amount != wanted.threshold_amount:
                row.told_for = None
            for name, value in _columns(wanted).items():
                setattr(row, name, value)
            shown = _shown(scope, row)
            _record(session, actor, scope, row.id, before, shown)
        return shown

    async def delete(self, actor: Principal | None, project_id: str | None, alert_id: str) -> SpendAlertDeleted:
        """Raises NotFound."""
        async with self._database.session() as session:
            scope = await scope_of(session, actor, project_id, WRITE)
            row = await _row(session, scope, alert_id)
            await session.delete(row)
            _record(session, actor, scope, row.id, _shown(scope, row), None)
        return SpendAlertDeleted(alert_id, "project.spend_alert.deleted" if scope.project_id else "organization.spend_alert.deleted")


async def _row(session: AsyncSession, scope: Scope, alert_id: str, param: str = "alert_id") -> SpendAlertRow:
    row = await session.scalar(select(SpendAlertRow).where(SpendAlertRow.id == alert_id, SpendAlertRow.scope_id == scope.id))
    if row is None:
        raise NotFound(f"No spend alert '{alert_id[:100]}'.", param=param)
    return row


def _columns(wanted: SpendAlertWrite) -> dict[str, Any]:
    channel = wanted.notification_channel
    return {
        "threshold_amount": wanted.threshold_amount,
        "recipients": list(dict.fromkeys(channel.recipients)),
        "subject_prefix": channel.subject_prefix,
    }


def _shown(scope: Scope, row: SpendAlertRow) -> SpendAlert:
    channel = NotificationChannel("email", row.recipients, row.subject_prefix)
    return SpendAlert(row.id, "project.spend_alert" if scope.project_id else "organization.spend_alert", row.threshold_amount, channel)


def _record(
    session: AsyncSession, actor: Principal | None, scope: Scope, alert_id: str, before: SpendAlert | None, after: SpendAlert | None
) -> None:
    def alert(state: SpendAlert | None) -> dict[str, Any]:
        return {"spend_alert": {"id": alert_id, **(msgspec.to_builtins(state) if state else {"deleted": True})}}

    previous = alert(before) if before else {"spend_alert": None}
    record(session, actor, f"{scope.kind}.updated", scope.id, changes=alert(after), before=previous, project_id=scope.project_id)
