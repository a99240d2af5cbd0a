"""A row for every table of a schema, whatever the schema: values by the columns' types, references to rows that are there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from openhearth.store.backups.rows import tables_of

Rows = dict[str, dict[str, Any]]

JSON_TEXT = '{"a": [1, 2.50, null], "say": "grüß dich, 你好"}'
JSON_COLUMNS = frozenset(
    {"details", "actor", "event_types", "leases", "permissions", "projects", "recipients", "events", "metadata", "completion", "messages"}
)


async def fill(connection: AsyncConnection, given: Rows) -> Rows:
    """One row in each table, and what was written. `given` goes over what is made up."""
    written: Rows = {}
    for table in await tables_of(connection):
        row = {column.name: _sample(table, column, written) for column in table.columns} | given.get(table.name, {})
        await connection.execute(table.insert(), row)
        written[table.name] = row
    return written


async def read(connection: AsyncConnection) -> dict[str, list[dict[str, Any]]]:
    """All rows, in the order of their primary keys."""
    return {
        table.name: [dict(row._mapping) for row in await connection.execute(table.select().order_by(*table.primary_key.columns))]
        for table in await tables_of(connection)
    }


def _sample(table: Table, column: Column[Any], written: Rows) -> Any:
    for reference in column.foreign_keys:
        return written[reference.column.table.name][reference.column.name]
    if isinstance(column.type, LargeBinary):
        return bytes(range(224, 256))
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Float):
        return 0.1 + 0.2
    if isinstance(column.type, Integer):
        return 7 if column.primary_key else 1_790_000_000
    if column.name in JSON_COLUMNS:
        return JSON_TEXT
    return None if column.nullable else f"{table.name}-{column.name}"[: getattr(column.type, "length", None) or 64]
