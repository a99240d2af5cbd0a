"""Database URLs: what is understood, and what a password is never shown in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from openhearth.errors import SetupError
from openhearth.store.address import parse
from openhearth.store.database import Database
from tests.support.databases import Postgres


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_postgresql_urls_become_what_the_driver_reads(scheme: str) -> None:
    address = parse(f"{scheme}://anna:pa%40ss@db.example:5433/house?sslmode=verify-full&sslrootcert=/etc/ca.pem&connect_timeout=3")
    assert address.kind == "postgresql"
    assert address.url == "postgresql://anna:pa%40ss@db.example:5433/house?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem"
    assert address.connect_timeout_s == 3
    assert address.shown == "postgresql://db.example:5433/house"


def test_sockets_hosts_and_passwords_in_the_query() -> None:
    address = parse("postgresql:///house?host=/run/postgresql&user=anna&password=hunter2")
    assert address.shown == "postgresql:///run/postgresql/house"
    assert address.url.startswith("postgresql:///house?host=")
    assert "hunter2" not in repr(address)
    assert parse("postgresql://a,b:5433/house?target_session_attrs=primary").shown == "postgresql://a,b:5433/house"


def test_what_the_driver_cannot_do_is_left_out_or_refused() -> None:
    assert parse("postgresql://h/d?channel_binding=prefer&keepalives_idle=30&gssencmode=disable").url == "postgresql://h/d"
    with pytest.raises(SetupError, match="channel_binding"):
        parse("postgresql://h/d?channel_binding=require")


async def test_certificates_are_asked_for_when_the_url_says_so(postgres: Postgres) -> None:
    """This server has no TLS, so that a URL which insists on it can't be satisfied."""
    database = Database(postgres.empty() + "&sslmode=require")
    with pytest.raises(SetupError, match="Can't open"):
        await database.prepare()
    await database.close()
    plain = Database(postgres.empty() + "&sslmode=disable&application_name=mine")
    await plain.prepare()
    await plain.ping()
    await plain.close()


def test_without_the_driver_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(SetupError, match=r"pip install 'openhearth\[postgres\]'") as caught:
        Database("postgresql://anna:hunter2@host/house")
    assert caught.value.exit_status == 78
    assert "hunter2" not in caught.value.message
    Database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
