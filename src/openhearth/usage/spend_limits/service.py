"""Setting, showing and taking away spend limits. Knows no HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.audit.record import record
from openhearth.accounts.principal import Principal
from openhearth.errors import NotFound
from openhearth.store.database import Database
from openhearth.usage.calendar import month_of
from openhearth.usage.cost import BILLIONTHS_PER_CENT
from openhearth.usage.recorder import Clock
from openhearth.usage.scope import Scope, scope_of, spent_in
from openhearth.usage.tables import SpendLimitRow
from openhearth.wire.organization.spending import Enforcement, SpendLimit, SpendLimitDeleted, SpendLimitUpdate

READ, WRITE = "api.spend.read", "api.spend.write"


class SpendLimits:
    """The limits of one installation. `changed` is told after each change. `project_id` None: the organization's own."""

    def __init__(self, database: Database, changed: Callable[[], None], clock: Clock = time.time) -> None:
        self._database = database
        self._changed = changed
        self._clock = clock

    async def get(self, actor: Principal | None, project_id: str | None) -> SpendLimit:
        """Raises NotFound where none is set."""
        async with self._database.session() as session:
            scope = await scope_of(session, actor, project_id, READ)
            return await self._shown(session, scope, await _row(session, scope))

    async def set(self, actor: Principal | None, project_id: str | None, update: SpendLimitUpdate) -> SpendLimit:
        """Made or replaced; holds from the next request on."""
        async with self._database.session() as session:
            scope = await scope_of(session, actor, project_id, WRITE)
            row = await session.get(SpendLimitRow, scope.id, with_for_update=True)
            before = None if row is None else row.threshold_amount
            if row is None:
                row = SpendLimitRow(scope_id=scope.id, threshold_amount=0, created_at=int(self._clock()))
                session.add(row)
            row.threshold_amount = update.threshold_amount
            _record(session, actor, scope, before, update.threshold_amount)
            shown = await self._shown(session, scope, row)
        self._changed()
        return shown

    async def remove(self, actor: Principal | None, project_id: str | None) -> SpendLimitDeleted:
        """Raises NotFound where none is set."""
        async with self._database.session() as session:
            scope = await scope_of(session, actor, project_id, WRITE)
            row = await _row(session, scope)
            await session.delete(row)
            _record(session, actor, scope, row.threshold_amount, None)
        self._changed()
        return SpendLimitDeleted("project.spend_limit.deleted" if scope.project_id else "organization.spend_limit.deleted")

    async def _shown(self, session: AsyncSession, scope: Scope, row: SpendLimitRow) -> SpendLimit:
        reached = await spent_in(session, scope, month_of(self._clock())) >= row.threshold_amount * BILLIONTHS_PER_CENT
        return SpendLimit(
            "project.spend_limit" if scope.project_id else "organization.spend_limit",
            row.threshold_amount,
            Enforcement("enforcing" if reached else "inactive"),
        )


async def _row(session: AsyncSession, scope: Scope) -> SpendLimitRow:
    row = await session.get(SpendLimitRow, scope.id)
    if row is None:
        raise NotFound(f"The {scope.shown} has no spend limit. POST to this path sets one.")
    return row


def _record(session: AsyncSession, actor: Principal | None, scope: Scope, before: int | None, after: int | None) -> None:
    def limit(cents: int | None) -> dict[str, Any]:
        return {"spend_limit": None if cents is None else {"threshold_amount": cents, "currency": "USD", "interval": "month"}}

    record(session, actor, f"{scope.kind}.updated", scope.id, changes=limit(after), before=limit(before), project_id=scope.project_id)
