"""A month at a glance, for the owner at the machine: usage and costs by project, model, key, user or day. Knows no terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.tables import ApiKeyRow, ProjectRow, ServiceAccountRow, UserRow
from openhearth.store.database import Database
from openhearth.usage.calendar import next_month
from openhearth.usage.tables import UsageRow

By = Literal["project", "model", "key", "user", "day"]
_COLUMNS: dict[By, Any] = {
    "project": UsageRow.project_id,
    "model": UsageRow.model,
    "key": UsageRow.api_key_id,
    "user": UsageRow.user_id,
    "day": UsageRow.start,
}
_LOCAL = {"local": "this machine"}


@dataclass(frozen=True, slots=True)
class Line:
    """`cost`: billionths of a dollar. `name`: of a project, key or user that still exists."""

    id: str
    name: str | None
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: int


async def summary(database: Database, month: int, by: By) -> list[Line]:
    """All operations of the month that starts at `month`: days in their order, everything else by cost, then by requests."""
    cost = UsageRow.input_cost + UsageRow.cached_cost + UsageRow.output_cost
    counts = (UsageRow.requests, UsageRow.input_tokens, UsageRow.cached_tokens, UsageRow.output_tokens, cost)
    column = _COLUMNS[by]
    wanted = (
        select(column, *map(func.sum, counts))
        .where(UsageRow.width == 86400, UsageRow.start >= month, UsageRow.start < next_month(month))
        .group_by(column)
    )
    async with database.session() as session:
        rows = (await session.execute(wanted)).all()
        names = await _names(session, by, [row[0] for row in rows])
    lines = [Line(_id(by, row[0]), names.get(row[0]), *map(int, row[1:])) for row in rows]
    return sorted(lines, key=lambda line: line.id if by == "day" else (-line.cost, -line.requests, line.id))


def total(lines: Sequence[Line]) -> Line:
    """The sum of all."""
    return Line(
        "total",
        None,
        sum(line.requests for line in lines),
        sum(line.input_tokens for line in lines),
        sum(line.cached_tokens for line in lines),
        sum(line.output_tokens for line in lines),
        sum(line.cost for line in lines),
    )


def _id(by: By, value: str | int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(value)) if by == "day" and isinstance(value, int) else str(value)


async def _names(session: AsyncSession, by: By, ids: Sequence[str]) -> dict[str, str]:
    columns = {
        "project": [(ProjectRow.id, ProjectRow.name)],
        "key": [(ApiKeyRow.id, ApiKeyRow.name)],
        "user": [(ServiceAccountRow.id, ServiceAccountRow.name), (UserRow.id, UserRow.email)],
    }.get(by, [])
    names = dict(_LOCAL) if by in ("key", "user") else {}
    for key, name in columns:
        names |= dict((await session.execute(select(key, name).where(key.in_(ids)))).tuples().all())
    return names
