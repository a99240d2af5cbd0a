"""All rows of one database into another of the same schema, whichever kinds the two are. Text of JSON is carried as it is written."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import JSON, Column, Integer, MetaData, Text, cast, func, select, text
from sqlalchemy import Table as SqlTable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.types import TypeDecorator

from openhearth.errors import SetupError

AT_ONCE = 500
VERSIONS = "alembic_version"


class _JsonText(TypeDecorator[str]):
    """PostgreSQL's JSON as text: NULL stays NULL, `null` stays `null`, numbers keep their digits."""

    impl = Text
    cache_ok = True

    def bind_expression(self, bindparam: BindParameter[str]) -> ColumnElement[str]:
        return cast(bindparam, JSON)

    def column_expression(self, column: ColumnElement[str]) -> ColumnElement[str]:
        return cast(column, Text)


async def tables_of(connection: AsyncConnection) -> Sequence[SqlTable]:
    """Every table with rows of ours, those that others refer to first."""
    metadata = MetaData()
    await connection.run_sync(metadata.reflect)
    found = [table for table in metadata.sorted_tables if table.name != VERSIONS]
    for column in (column for table in found for column in table.columns):
        if isinstance(column.type, JSON):
            column.type = _JsonText() if connection.dialect.name == "postgresql" else Text()
    return found


async def count(connection: AsyncConnection) -> dict[str, int]:
    """Rows of each table."""
    return {table.name: int(await connection.scalar(select(func.count()).select_from(table)) or 0) for table in await tables_of(connection)}


async def copy(source: AsyncConnection, target: AsyncConnection) -> dict[str, int]:
    """Copy them in the target's transaction, and return how many. Raises SetupError for rows that it can't hold."""
    there = {table.name: table for table in await tables_of(source)}
    copied = {}
    for table in await tables_of(target):
        try:
            copied[table.name] = await _copy_table(source, there[table.name], target, table)
        except DBAPIError as error:
            reason = type(error.orig.__cause__ or error.orig).__name__ if error.orig else type(error).__name__
            raise SetupError(f"A row of {table.name} can't be written to the other database ({reason}).", exit_status=65) from error
        await _count_on(target, table)
    return copied


async def clear(connection: AsyncConnection) -> None:
    """Remove all rows of a PostgreSQL database; also those of the audit log, which else lets nobody."""
    names = [_quoted(connection, table.name) for table in await tables_of(connection)]
    switched = [[f"ALTER TABLE {name} {act} TRIGGER USER" for name in names] for act in ("DISABLE", "ENABLE")]
    for command in (*switched[0], f"TRUNCATE {', '.join(names)}", *switched[1]):
        await connection.execute(text(command))


async def _copy_table(source: AsyncConnection, there: SqlTable, target: AsyncConnection, here: SqlTable) -> int:
    copied = 0
    async with source.stream(select(there)) as rows:
        async for some in rows.mappings().partitions(AT_ONCE):
            await target.execute(here.insert(), [dict(row) for row in some])
            copied += len(some)
    return copied


async def _count_on(connection: AsyncConnection, table: SqlTable) -> None:
    """PostgreSQL's automatic numbers know nothing of rows that brought theirs along."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        if isinstance(column.type, Integer):
            await _count_on_from(connection, table, column)


async def _count_on_from(connection: AsyncConnection, table: SqlTable, column: Column[int]) -> None:
    named = {"table": _quoted(connection, table.name), "column": column.name}
    sequence = await connection.scalar(text("SELECT pg_get_serial_sequence(:table, :column)"), named)
    if sequence is not None:
        highest = await connection.scalar(select(func.max(column)))
        await connection.execute(
            text("SELECT setval(CAST(:sequence AS regclass), :number, :used)"),
            {"sequence": sequence, "number": highest or 1, "used": highest is not None},
        )


def _quoted(connection: AsyncConnection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
