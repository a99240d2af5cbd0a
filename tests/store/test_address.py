"""Database URLs: what is understood, and what a password is never shown in."""

from __future__ import annotations

import asyncio
import struct
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from openhearth.errors import SetupError
from openhearth.store.address import parse
from openhearth.store.database import Database
from tests.support.databases import Postgres

SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_postgresql_urls_become_what_the_driver_reads(scheme: str) -> None:
    address = parse(f"{scheme}://anna:pa%40ss@db.example:5433/house?sslmode=verify-full&sslrootcert=system&connect_timeout=3")
    assert address.kind == "postgresql"
    assert address.url == "postgresql://anna:pa%40ss@db.example:5433/house?sslmode=verify-full&sslrootcert=system"
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


@pytest.mark.parametrize(("sslmode", "asks_for_tls"), [("require", True), ("disable", False)])
async def test_sslmode_reaches_the_driver(sslmode: str, asks_for_tls: bool) -> None:
    """A server that has no TLS sees what is asked of it, and a URL that insists on it gets no further."""
    heard: list[bytes] = []
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readexactly(8))
        writer.write(b"N")
        heard.append(await reader.read(1))
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(answer, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    database = Database(f"postgresql://anna:hunter2@127.0.0.1:{port}/house?sslmode={sslmode}")
    with pytest.raises(SetupError, match="Can't open") as caught:
        await database.prepare()
    await database.close()
    await ended.wait()
    server.close()
    assert "hunter2" not in caught.value.message
    assert (heard[0] == SSL_REQUEST) == asks_for_tls
    assert not asks_for_tls or heard[1:] in ([], [b""]), "something was sent without TLS"


def test_a_certificate_that_is_not_there_is_named() -> None:
    with pytest.raises(SetupError, match=r"sslrootcert names /no/such/ca\.pem") as caught:
        parse("postgresql://anna:hunter2@127.0.0.1:9/house?sslmode=verify-full&sslrootcert=/no/such/ca.pem")
    assert "hunter2" not in caught.value.message


async def test_more_options_reach_a_real_server(postgres: Postgres) -> None:
    database = Database(postgres.empty() + "&sslmode=disable&application_name=mine&connect_timeout=2")
    await database.prepare()
    await database.ping()
    await database.close()


def test_without_the_driver_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(SetupError, match=r"pip install 'openhearth\[postgres\]'") as caught:
        Database("postgresql://anna:hunter2@host/house")
    assert caught.value.exit_status == 78
    assert "hunter2" not in caught.value.message
    Database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
