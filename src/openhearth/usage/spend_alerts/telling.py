"""Tells spend alerts, each once a month: a mail for each recipient and an event for webhooks, in the transaction that marks it as told.

Sends nothing itself: mails wait in `mail.tables` for whoever sends them. Goes by costs that are written; reads nothing but sums.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.accounts.organization.founding import organization_id
from openhearth.mail.outbox import post
from openhearth.store.database import Database
from openhearth.usage.calendar import month_of
from openhearth.usage.cost import BILLIONTHS_PER_CENT
from openhearth.usage.recorder import Clock
from openhearth.usage.scope import Scope, spent_in
from openhearth.usage.tables import SpendAlertRow

Announce = Callable[[AsyncSession, str, str, dict[str, Any]], Awaitable[object]]
"""Puts a webhook event into the same transaction: (session, project, type, data)."""
KEPT_S = 7 * 86_400
"""Mail that can't be sent for so long is news no more."""
EVENT = "{kind}.spend_alert.triggered"
"""Our own: OpenAI has no event for this. The organization's go to the default project's webhooks."""


class AlertTeller:
    """Looks for alerts that are to be told now."""

    def __init__(self, database: Database, announce: Announce | None = None, clock: Clock = time.time) -> None:
        self._database = database
        self._announce = announce
        self._clock = clock

    async def look(self) -> None:
        """Tell all whose threshold is passed. Raises what the database raises; then none of a transaction was told."""
        month = month_of(self._clock())
        async with self._database.session() as session:
            waiting = (await session.scalars(select(SpendAlertRow).where(_not_told(month)))).all()
            if not waiting:
                return
            whole = Scope("organization", await organization_id(session))
            spent: dict[str, int] = {}
            for row in waiting:
                scope = whole if row.scope_id == whole.id else Scope("project", row.scope_id)
                if row.scope_id not in spent:
                    spent[row.scope_id] = await spent_in(session, scope, month)
                if spent[row.scope_id] and spent[row.scope_id] >= row.threshold_amount * BILLIONTHS_PER_CENT:
                    await self._tell(session, scope, row, month, spent[row.scope_id])

    async def _tell(self, session: AsyncSession, scope: Scope, row: SpendAlertRow, month: int, spent: int) -> None:
        # Of several processes that see it at the same time, one changes the row.
        mark = update(SpendAlertRow).where(SpendAlertRow.id == row.id, _not_told(month)).values(told_for=month)
        marked = await session.execute(mark.returning(SpendAlertRow.id).execution_options(synchronize_session=False))
        if marked.first() is None:
            return
        _mail(session, scope, row, month, spent)
        if self._announce is not None:
            data = {
                "id": row.id,
                "threshold_amount": row.threshold_amount,
                "currency": "USD",
                "interval": "month",
                "month_started_at": month,
                "spent_amount": spent // BILLIONTHS_PER_CENT,
            }
            await self._announce(session, scope.project_id or DEFAULT_PROJECT, EVENT.format(kind=scope.kind), data)


def _not_told(month: int) -> Any:
    return or_(SpendAlertRow.told_for.is_(None), SpendAlertRow.told_for < month)


def _mail(session: AsyncSession, scope: Scope, row: SpendAlertRow, month: int, spent: int) -> None:
    name, threshold = time.strftime("%Y-%m", time.gmtime(month)), _dollars(row.threshold_amount)
    subject = f"{row.subject_prefix or 'Open Hearth spend alert'}: {threshold} reached in {name}"
    text = (
        f"The costs of the {scope.shown} in {name} (UTC) have reached {_dollars(spent // BILLIONTHS_PER_CENT)}. "
        f"You asked to be told at {threshold}.\n\nThis is a notice only; nothing was stopped. "
        "A hard limit is set with `openhearth usage limit set`.\n"
    )
    for recipient in row.recipients:
        post(session, recipient, subject, text, link=None, expires_at=int(time.time()) + KEPT_S)


def _dollars(cents: int) -> str:
    return f"${cents // 100:,}.{cents % 100:02d}"
