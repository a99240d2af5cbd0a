"""Connections to the database: drivers, pools, and time limits: a database that is away or locked holds no request for long."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from openhearth.errors import SetupError
from openhearth.store.address import Address

LOCK_TIMEOUT_S = 5.0
"""How long a statement waits for another's lock: SQLite's busy timeout, PostgreSQL's lock_timeout."""
STATEMENT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 6.0
"""The driver's own limit, for a server that is frozen or cut off and can't keep the one before."""
POOL_TIMEOUT_S = 5.0
RECYCLE_S = 1800
CONNECTIONS = 5
CONNECTIONS_MORE = 10
PATIENT_LOCK_TIMEOUT_S = 60.0

APPLICATION = "openhearth"
"""How our sessions are called in PostgreSQL's `pg_stat_activity`."""


def open_engine(address: Address) -> AsyncEngine:
    """For the house: a bounded pool whose connections are tried before use. Raises SetupError."""
    options: dict[str, Any] = {"pool_timeout": POOL_TIMEOUT_S, "pool_size": CONNECTIONS, "max_overflow": CONNECTIONS_MORE}
    if address.kind == "postgresql":
        options |= {"pool_pre_ping": True, "pool_recycle": RECYCLE_S, "pool_use_lifo": True}
        return _engine(address, _postgresql_arguments(address, patient=False), options)
    engine = _engine(address, {"timeout": LOCK_TIMEOUT_S}, options if address.path else {})
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    return engine


def open_patient_engine(address: Address) -> AsyncEngine:
    """For upgrades, backups and restores, one at a time: no limit on statements, and what is changed is changed in one transaction."""
    if address.kind == "postgresql":
        return _engine(address, _postgresql_arguments(address, patient=True), {"poolclass": NullPool})
    engine = _engine(address, {"timeout": PATIENT_LOCK_TIMEOUT_S}, {"poolclass": NullPool})
    event.listen(engine.sync_engine, "connect", _leave_transactions_to_us)
    event.listen(engine.sync_engine, "begin", _begin_immediately)
    return engine


def _engine(address: Address, arguments: dict[str, Any], options: dict[str, Any]) -> AsyncEngine:
    url = "postgresql+asyncpg://" if address.kind == "postgresql" else address.url
    try:
        return create_async_engine(url, json_serializer=_as_json, connect_args=arguments, **options)
    except ImportError:
        raise SetupError(
            "database_url names a PostgreSQL database, but its driver isn't installed: pip install 'openhearth[postgres]'.", exit_status=78
        ) from None
    except (ArgumentError, NoSuchModuleError, InvalidRequestError) as error:
        raise SetupError(f"database_url is not one that can be used here ({type(error).__name__}).", exit_status=78) from None


def _postgresql_arguments(address: Address, *, patient: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {"dsn": address.url, "timeout": address.connect_timeout_s}
    if patient:
        limits = {"statement_timeout": "0", "lock_timeout": f"{PATIENT_LOCK_TIMEOUT_S * 1000:.0f}"}
        return {**arguments, "server_settings": {"application_name": f"{APPLICATION} db", **limits}}
    settings = {
        "application_name": APPLICATION,
        "statement_timeout": f"{STATEMENT_TIMEOUT_S * 1000:.0f}",
        "lock_timeout": f"{LOCK_TIMEOUT_S * 1000:.0f}",
        "idle_in_transaction_session_timeout": "60000",
    }
    return {**arguments, "command_timeout": ANSWER_TIMEOUT_S, "server_settings": settings}


def _as_json(value: Any) -> str:
    """Letters as they are: SQLite looks for keys as they are written."""
    return json.dumps(value, ensure_ascii=False)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # The timeout first: to switch to WAL may have to wait for another process that does it, too.
    for pragma in (f"busy_timeout={LOCK_TIMEOUT_S * 1000:.0f}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
    # Python's driver commits before it changes the schema, unless told to keep out.
    connection.isolation_level = None


def _begin_immediately(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
