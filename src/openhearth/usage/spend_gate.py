"""The gate of hard spend limits: work that would take the month's costs past a limit is refused. Who may set limits stands in `limits`.

What a request may cost is reserved while it runs: its input as estimated, and its output if it says how long that may get. So the limit is
passed at most by what requests cost beyond that: the output of those that name no maximum, the error of the estimate, and what other
processes on the same database have spent within the last second.
"""

from __future__ import annotations

import asyncio
import logging
import time

from sqlalchemy import select

from openhearth.accounts.principal import Principal
from openhearth.accounts.work import Settle, Work
from openhearth.errors import QuotaExceeded, StorageUnavailable
from openhearth.store.database import Database
from openhearth.usage.calendar import month_of
from openhearth.usage.cost import BILLIONTHS_PER_CENT, expected_cost
from openhearth.usage.ledger import WHOLE, Ledger
from openhearth.usage.recorder import Clock
from openhearth.usage.tables import SpendingRow, SpendLimitRow

REFRESH_S = 1.0
PATIENCE_S = 1.0
"""So long one request waits for a database that doesn't answer. After that none does, until it answers: the last known numbers count."""
KEPT_S = 60.0
"""For so long at most, where there is a limit."""
ANSWER_S = 10.0
"""So long requests wait that can't do without an answer."""
_MESSAGE = (
    "You exceeded your current quota, please check your plan and billing details. "
    "The spend limit of the {whose} is reached for this month; "
    "its owner can raise it (`openhearth usage limit set`, POST /v1/organization/{path})."
)
_UNKNOWN = "The spend limits and what was spent can't be read now. Try again."

log = logging.getLogger(__name__)


class SpendGate:
    """Knows the limits and the month's costs, at most a second old while the database answers."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock = time.time) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._limits: dict[str, int] | None = None
        self._changes = 0
        self._failing = self._away = False
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    async def admit(self, principal: Principal, work: Work) -> Settle | None:
        """Raises QuotaExceeded; StorageUnavailable where there is a limit and nobody knows what was spent."""
        await self._refresh()
        await self._refresh_the_old(principal)
        project, cost = principal.project_id, expected_cost(work)
        if self._limits:
            month = month_of(self._clock())
            self._check(month, WHOLE, principal.access.organization_id, cost)
            self._check(month, project, project, cost)
        if not cost:
            return None
        self._ledger.reserve(project, cost)
        return lambda _usage: self._ledger.reserve(project, -cost)

    def changed(self) -> None:
        """Limits were changed in this process: they count from the next request on."""
        self._limits = None
        self._changes += 1

    async def close(self) -> None:
        """End a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _check(self, month: int, place: str, scope_id: str, cost: int) -> None:
        limit = (self._limits or {}).get(scope_id)
        if limit is None:
            return
        spent = self._ledger.spent(month, place)
        if spent >= limit or spent + cost > limit:
            whole = place == WHOLE
            path = "spend_limit" if whole else f"projects/{scope_id}/spend_limit"
            raise QuotaExceeded(_MESSAGE.format(whose="organization" if whole else f"project {scope_id}", path=path))

    async def _refresh(self) -> None:
        """In the background, unless the numbers are too old to go by."""
        age = time.monotonic() - self._read_at
        if self._limits is not None and age > REFRESH_S:
            reading = self._under_way()
            if age > 2 * REFRESH_S and not self._away and not self._database.silent:
                done, _ = await asyncio.wait({reading}, timeout=PATIENCE_S)
                self._away = not done or self._failing
        # Last, so that nothing can change before the numbers are used.
        while self._limits is None:
            await self._answered()

    async def _refresh_the_old(self, principal: Principal) -> None:
        """Where there is a limit, numbers from long ago don't count."""
        limits = self._limits or {}
        if time.monotonic() - self._read_at > KEPT_S and (principal.project_id in limits or principal.access.organization_id in limits):
            await self._answered()
            if self._limits is None or time.monotonic() - self._read_at > KEPT_S:
                raise StorageUnavailable(_UNKNOWN)

    async def _answered(self) -> None:
        reading = self._under_way()
        done, _ = await asyncio.wait({reading}, timeout=ANSWER_S)
        if not done:
            raise StorageUnavailable(_UNKNOWN)
        reading.result()

    def _under_way(self) -> asyncio.Task[None]:
        """One reads for all."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        known = self._limits is not None
        try:
            started = time.monotonic()
            await self._read_all()
            self._read_at, self._failing, self._away = started, False, False
        except Exception as error:
            if not known:
                raise (error if isinstance(error, StorageUnavailable) else StorageUnavailable(_UNKNOWN)) from error
            if not self._failing:
                log.warning("Spend limits can't be read now (%s); the last known ones count.", type(error).__name__)
            self._failing = True

    async def _read_all(self) -> None:
        changes = self._changes
        limits = await self._read_limits()
        if limits:  # else the costs don't matter, and who is writing them needn't be waited for
            async with self._ledger.moving:
                await self._read_spending()
        if changes == self._changes:
            self._limits = limits

    async def _read_limits(self) -> dict[str, int]:
        async with self._database.session() as session:
            return {row.scope_id: row.threshold_amount * BILLIONTHS_PER_CENT for row in await session.scalars(select(SpendLimitRow))}

    async def _read_spending(self) -> None:
        """Under the ledger's lock only."""
        month = month_of(self._clock())
        async with self._database.session() as session:
            rows = await session.scalars(select(SpendingRow).where(SpendingRow.month == month))
            self._ledger.read({(row.month, row.project_id): row.cost for row in rows})
