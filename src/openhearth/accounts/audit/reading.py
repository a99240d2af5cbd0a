"""Reading the audit log, newest first. Quick whatever the log's length: every filter has an index in order of time. Knows no HTTP.

Of several filters the narrowest chooses the rows and the others sift them; which that is, is counted first, up to a bound. A list's
values are looked for one by one, because no index has the rows of several values in order of time.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeVarTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_, union, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from openhearth.accounts.audit.tables import AuditLogRow
from openhearth.accounts.tables import ProjectRow
from openhearth.errors import InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.wire.organization.audit_events import EVENT_TYPES, TENANT_TYPES
from openhearth.wire.organization.audit_logs import AuditLogsQuery

Columns = TypeVarTuple("Columns")
Row = AuditLogRow
Filter = tuple[Sequence[InstrumentedAttribute[Any]], list[str]]
"""Columns of which one must have one of the values."""
COUNTED = 2000
_PLACE = (Row.effective_at, Row.position)


class AuditLog:
    """The log of one installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, query: AuditLogsQuery) -> tuple[list[dict[str, Any]], bool]:
        """A page as the wire has it, and whether there is more. Raises InvalidRequest, NotFound for a cursor that isn't there."""
        filters = _filters(query)
        async with self._database.session() as session:
            within = await _within(session, query)
            ahead = query.before is not None and query.after is None
            branches = await _branches(session, filters, within)
            wanted = _rows(branches, query.limit + 1, ascending=ahead)
            found = [_shown(row, name) for row, name in await session.execute(wanted)]
        page = found[: query.limit]
        return (page[::-1] if ahead else page), len(found) > query.limit


def _filters(query: AuditLogsQuery) -> list[Filter]:
    for name in query.event_types:
        if name not in EVENT_TYPES:
            raise InvalidRequest(f"'{name[:100]}' is no type of event. There are: {', '.join(sorted(EVENT_TYPES))}.", param="event_types")
        if query.tenant_only and name not in TENANT_TYPES:
            raise InvalidRequest(f"'{name}' is no type of a tenant's event, and 'tenant_only' asks for those only.", param="event_types")
    types = query.event_types or (sorted(TENANT_TYPES) if query.tenant_only else [])
    filters: list[Filter] = [
        ((Row.resource_id,), query.resource_ids),
        ((Row.actor_id, Row.actor_key_id), query.actor_ids),
        ((Row.actor_email,), [email.lower() for email in query.actor_emails]),
        ((Row.project_id,), query.project_ids),
        ((Row.type,), types),
    ]
    return [(columns, list(dict.fromkeys(values))) for columns, values in filters if values]


async def _within(session: AsyncSession, query: AuditLogsQuery) -> list[ColumnElement[bool]]:
    """The range of time, and of the page."""
    time, asked = Row.effective_at, query.effective_at
    bounds = ((asked.gt, operator.gt), (asked.gte, operator.ge), (asked.lt, operator.lt), (asked.lte, operator.le))
    within: list[ColumnElement[bool]] = [compare(time, bound) for bound, compare in bounds if bound is not None]
    if query.after is not None:
        within.append(tuple_(*_PLACE) < tuple_(*await _place(session, query.after, "after")))
    if query.before is not None:
        within.append(tuple_(*_PLACE) > tuple_(*await _place(session, query.before, "before")))
    return within


async def _place(session: AsyncSession, log_id: str, param: str) -> tuple[int, int]:
    found = (await session.execute(select(*_PLACE).where(Row.id == log_id))).first()
    if found is None:
        raise NotFound(f"No audit log '{log_id[:100]}'.", param=param)
    return found[0], found[1]


async def _branches(session: AsyncSession, filters: list[Filter], within: list[ColumnElement[bool]]) -> list[Select[int, int]]:
    """Queries, each of which an index answers in order of time; together they give all rows that are asked for."""
    if not filters:
        return [select(*_PLACE).where(*within)]
    counts = [await _count(session, of, within) for of in filters] if len(filters) > 1 else [0]
    columns, values = filters[counts.index(min(counts))]
    guesses = session.get_bind().dialect.name == "sqlite"
    others = [_sift(of, guesses=guesses) for number, of in enumerate(filters) if number != counts.index(min(counts))]
    return [select(*_PLACE).where(column == value, *within, *others) for column in columns for value in values]


async def _count(session: AsyncSession, of: Filter, within: list[ColumnElement[bool]]) -> int:
    columns, values = of
    each = [select(Row.position).where(column == value, *within).limit(COUNTED) for column in columns for value in values]
    counted = union_all(*[select(one.subquery()) for one in each]).subquery()
    return await session.scalar(select(func.count()).select_from(counted)) or 0


def _sift(of: Filter, *, guesses: bool) -> ColumnElement[bool]:
    columns, values = of
    # SQLite has counted nothing and may take this filter's index, which isn't the narrowest: hide it. PostgreSQL knows better.
    return or_(*((func.coalesce(column, "") if guesses else column).in_(values) for column in columns))


def _rows(branches: list[Select[int, int]], most: int, *, ascending: bool) -> Select[Row, str]:
    def ordered(wanted: Select[*Columns], time: Any, position: Any) -> Select[*Columns]:
        return wanted.order_by(time, position) if ascending else wanted.order_by(time.desc(), position.desc())

    each = [ordered(branch, *_PLACE).limit(most).subquery() for branch in branches]
    places = union(*[select(one.c.effective_at, one.c.position) for one in each]).subquery()
    chosen = ordered(select(places.c.position), places.c.effective_at, places.c.position).limit(most)
    wanted = select(Row, ProjectRow.name).outerjoin(ProjectRow, ProjectRow.id == Row.project_id)
    return ordered(wanted.where(and_(Row.position.in_(chosen))), *_PLACE)


def _shown(row: Row, project_name: str | None) -> dict[str, Any]:
    shown = {"id": row.id, "type": row.type, "effective_at": row.effective_at, "actor": _known(row.actor), row.type: row.details}
    if row.project_id is not None:
        shown["project"] = {"id": row.project_id, "name": project_name or row.project_id}
    return shown


def _known(value: Any) -> Any:
    """Without what isn't known, e.g. the address of who came through a socket."""
    return {name: _known(part) for name, part in value.items() if part is not None} if isinstance(value, dict) else value
