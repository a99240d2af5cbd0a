"""Where the database is: a URL as people write it, understood and checked, and shown without its password. Connects to nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from openhearth.errors import SetupError

CONNECT_TIMEOUT_S = 5.0
_POSTGRESQL = ("postgresql", "postgres", "postgresql+asyncpg")
_OF_LIBPQ_ONLY = frozenset({"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"})
"""Tuning of the C library's sockets; asyncpg would send them to the server, which refuses what it doesn't know."""
_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
_WITHOUT_LIBPQ = {"channel_binding": ("disable", "prefer"), "gssencmode": ("disable", "prefer")}
"""What asyncpg can't do; these values don't insist on it."""


@dataclass(frozen=True)
class Address:
    """A database that can be connected to."""

    kind: Literal["sqlite", "postgresql"]
    url: str = field(repr=False)
    """What SQLAlchemy is given (SQLite), or asyncpg as its DSN (PostgreSQL)."""
    shown: str
    """Without password and options."""
    path: Path | None = None
    """SQLite's file."""
    connect_timeout_s: float = CONNECT_TIMEOUT_S


def parse(url: str) -> Address:
    """Raises SetupError, which shows nothing of the URL: it may hold a password."""
    scheme, separator, rest = url.partition("://")
    try:
        return _postgresql(rest) if separator and scheme in _POSTGRESQL else _sqlite(url)
    except (ArgumentError, ValueError) as error:
        raise SetupError(
            f"database_url is not one that can be used here ({type(error).__name__}); "
            "it looks like postgresql://user:password@host/house or sqlite+aiosqlite:////folder/house.db.",
            exit_status=78,
        ) from None


def of_file(path: Path) -> Address:
    """A SQLite file."""
    return parse(f"sqlite+aiosqlite:///{path}")


def _sqlite(url: str) -> Address:
    parsed = make_url(url)
    if parsed.drivername != "sqlite+aiosqlite" or parsed.host or parsed.username:
        raise ValueError
    in_memory = parsed.database in (None, "", ":memory:")
    return Address("sqlite", url, f"sqlite:///{parsed.database or ''}", None if in_memory else Path(str(parsed.database)))


def _postgresql(rest: str) -> Address:
    """Hosts, sockets (`?host=/folder`), `sslmode` and certificates are asyncpg's to read: it knows them as libpq does."""
    parts = urlsplit(f"postgresql://{rest}")
    options: dict[str, Any] = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    timeout_s = float(options.pop("connect_timeout", CONNECT_TIMEOUT_S)) or CONNECT_TIMEOUT_S
    for name, allowed in _WITHOUT_LIBPQ.items():
        if options.pop(name, allowed[0]) not in allowed:
            raise SetupError(f"database_url: {name} can only be {' or '.join(allowed)} here.", exit_status=78)
    for name in _OF_LIBPQ_ONLY & options.keys():
        del options[name]
    for name in _FILES & options.keys():
        if options[name] != "system" and not Path(options[name]).expanduser().is_file():
            raise SetupError(f"database_url: {name} names {options[name]}, which is not a file.", exit_status=78)
    url = urlunsplit(parts._replace(query=urlencode(options)))
    host = parts.netloc.rpartition("@")[2] or str(options.get("host", ""))
    name = parts.path.lstrip("/") or str(options.get("dbname", ""))
    return Address("postgresql", _slashed(url), f"postgresql://{host}/{name}", connect_timeout_s=timeout_s)


def _slashed(url: str) -> str:
    # Without a host `urlunsplit` leaves the slashes out.
    return url if url.startswith("postgresql://") else url.replace("postgresql:", "postgresql://", 1)
