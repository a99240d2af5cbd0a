"""Usage and costs, read from the roll-ups: filtered and grouped by the database. Knows no HTTP.

Shows what is written: a request is there a second after its end at the latest.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Table, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.store.database import Database
from openhearth.usage.recorder import Clock
from openhearth.usage.reports.costs import COSTS_MOST, COUNTED, cost_results, models_of
from openhearth.usage.reports.operations import COLUMN_OF, FILTERS, UNLABELED, Report
from openhearth.usage.reports.periods import Period, Piece, period
from openhearth.usage.tables import UsageRow
from openhearth.wire.organization.usage import Bucket, UsagePage
from openhearth.wire.organization.usage_queries import CostsQuery, TimeQuery

ROWS: Table = UsageRow.metadata.tables["usage"]
"""The table itself: rows of the object mapper take twice as long."""
Group = tuple[Any, ...]
Sums = tuple[int, ...]
Found = Mapping[int, dict[Group, Sums]]
"""Bucket's full start -> group -> sums."""


class Reports:
    """Of the whole organization."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    async def usage(self, report: Report, query: TimeQuery) -> UsagePage:
        """One page of an operation's usage. Raises InvalidRequest."""
        asked: Sequence[str] = list(dict.fromkeys(query.group_by))  # type: ignore[attr-defined]
        span = period(query, self._clock())
        fields = [name for name in asked if name in COLUMN_OF]
        groups = [COLUMN_OF[name] for name in fields]
        where = [ROWS.c.operation == report.operation, *_filters(query)]
        found = await self._found(span, where, groups, report.columns)
        labels = {"api_source": UNLABELED} if "api_source" in asked else {}

        def result(group: Group, sums: Sums) -> Any:
            values: dict[str, Any] = report.made(*sums)
            values.update(zip(fields, group, strict=True))
            return report.result(**values, **labels)

        return await asyncio.to_thread(_page, span, found, lambda groups: [result(group, sums) for group, sums in groups])

    async def costs(self, query: CostsQuery) -> UsagePage:
        """One page of costs, of all operations. Raises InvalidRequest."""
        asked = list(dict.fromkeys(query.group_by))
        span = period(query, self._clock(), most=COSTS_MOST)
        by_line = "line_item" in asked or bool(query.line_items)
        fields = [name for name in asked if name in COLUMN_OF]
        groups = [COLUMN_OF[name] for name in fields] + (["model"] if by_line else [])
        where = _filters(query)
        if query.line_items:
            where.append(ROWS.c.model.in_(models_of(query.line_items)))
        found = await self._found(span, where, groups, COUNTED)
        return await asyncio.to_thread(_page, span, found, lambda groups: cost_results(groups, fields, query))

    async def _found(self, span: Period, where: Sequence[ColumnElement[bool]], groups: Sequence[str], columns: Sequence[str]) -> Found:
        found: Found = defaultdict(dict)
        edge = 1 + len(groups)
        async with self._database.session() as session:
            for piece in span.pieces:
                for row in await _sums(session, piece, span.width, where, groups, columns):
                    place, group, sums = found[row[0]], row[1:edge], row[edge:]
                    known = place.get(group)
                    place[group] = sums if known is None else tuple(map(int.__add__, known, sums))
        return found


async def _sums(
    session: AsyncSession, piece: Piece, width: int, where: Sequence[ColumnElement[bool]], groups: Sequence[str], columns: Sequence[str]
) -> Sequence[Row[Any]]:
    """Rows of: bucket's start, groups, sums."""
    # By the rows' own time where that is the bucket's: then the index gives the order.
    bucket = ROWS.c.start if piece.width == width else ROWS.c.start - ROWS.c.start % literal_column(str(width))
    by = [bucket, *(ROWS.c[name] for name in groups)]
    # PostgreSQL's sum of bigint is a numeric, which would come as a Decimal.
    sums = [cast(func.sum(ROWS.c[name]), BigInteger) for name in columns]
    wanted = select(*by, *sums).where(ROWS.c.width == piece.width, ROWS.c.start >= piece.start, ROWS.c.start < piece.end, *where)
    return (await session.execute(wanted.group_by(*by))).all()


def _filters(query: TimeQuery) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    for name, column in FILTERS.items():
        if values := getattr(query, name, None):
            where.append(ROWS.c[column].in_(values))
    if (batch := getattr(query, "batch", None)) is not None:
        where.append(ROWS.c.batch.is_(batch))
    return where


def _page(span: Period, found: Found, shown: Callable[[list[tuple[Group, Sums]]], list[Any]]) -> UsagePage:
    """Groups in the order of their names, so that the same question gets the same answer. In a thread: there can be tens of thousands."""
    buckets = [Bucket(start, end, shown(sorted(found.get(start - start % span.width, {}).items()))) for start, end in span.buckets]
    return UsagePage(buckets, span.next_page is not None, span.next_page)
