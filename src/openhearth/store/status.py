"""What a database holds, for its owner: schema, size, rows. Changes nothing and makes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from openhearth.errors import SetupError
from openhearth.store.backups.rows import count
from openhearth.store.database import Database
from openhearth.store.upgrading import revision_of


@dataclass(frozen=True)
class Status:
    """`schema` is None before the first start."""

    schema: str | None = None
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)


async def look(database: Database) -> Status:
    """Raises SetupError if it can't be opened."""
    path = database.address.path
    if path is not None and not path.exists():
        return Status()
    try:
        async with database.engine.connect() as connection:
            schema = await connection.run_sync(revision_of)
            rows = await count(connection) if schema else {}
            size = _size(path) if path else await connection.scalar(text("SELECT pg_database_size(current_database())"))
    except Exception as error:  # as in `Database.prepare`
        raise SetupError(f"Can't open the database {database.address.shown}: {type(error).__name__}.", exit_status=74) from error
    return Status(schema, int(size or 0), rows)


def _size(path: Path) -> int:
    """With what SQLite hasn't moved into the file yet."""
    return sum(part.stat().st_size for end in ("", "-wal") if (part := path.with_name(path.name + end)).exists())
