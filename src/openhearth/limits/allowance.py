"""Which limits hold for a project and a model: what its owner set, or else the installation's defaults. Read anew after changes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import select

from openhearth.accounts.access import AccessTable
from openhearth.limits.tables import RateLimitRow
from openhearth.settings import LimitSettings
from openhearth.store.database import Database


@dataclass(frozen=True, slots=True)
class Allowance:
    """Limits that requests are held to. None: no limit."""

    requests_per_minute: int
    tokens_per_minute: int
    requests_per_day: int | None
    chosen: bool = False
    """Whether somebody has set it, a project's owner or the settings; else it is what the program ships with."""


def allowed(row: RateLimitRow | None, defaults: LimitSettings) -> Allowance:
    """What the row says, and the defaults where it says nothing."""
    if row is None:
        chosen = defaults != LimitSettings()
        return Allowance(defaults.requests_per_minute, defaults.tokens_per_minute, defaults.requests_per_day, chosen)
    return Allowance(
        defaults.requests_per_minute if row.max_requests_per_1_minute is None else row.max_requests_per_1_minute,
        defaults.tokens_per_minute if row.max_tokens_per_1_minute is None else row.max_tokens_per_1_minute,
        defaults.requests_per_day if row.max_requests_per_1_day is None else row.max_requests_per_1_day,
        chosen=True,
    )


class Allowances:
    """The limits in force, of one process. It looks again whenever the guard's picture is a new one."""

    def __init__(self, database: Database, access: AccessTable, defaults: LimitSettings) -> None:
        self._database = database
        self._access = access
        self._default = allowed(None, defaults)
        self._defaults = defaults
        self._set: dict[tuple[str, str], Allowance] = {}
        self._reading: asyncio.Task[None] | None = None
        self.version = (-1, -1)
        """Of what is known."""

    @property
    def stale(self) -> bool:
        return self.version != self._access.version

    def of(self, project_id: str, model: str) -> Allowance:
        return self._set.get((project_id, model), self._default)

    async def refresh(self) -> None:
        """Read them again. Raises StorageUnavailable."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        version = self._access.version
        async with self._database.session() as session:
            rows = await session.scalars(select(RateLimitRow))
        self._set = {(row.project_id, row.model): allowed(row, self._defaults) for row in rows}
        self.version = version
