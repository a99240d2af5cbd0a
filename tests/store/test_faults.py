"""A real server whose database is locked, gone, full, stopped, frozen; and back again, without a restart."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.databases import Postgres, postgres_server
from tests.support.serving import FAKE, RunningServer, started
from tests.support.specification import conforms

QUICKLY_S = 3.0
"""What has nothing to do with the database."""
SOON_S = 15.0
"""What has: connect, lock and statement timeouts, and a machine that is busy."""
LONG = "x" * 300_000


class House:
    """A running server, asked over HTTP."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.root, headers={"authorization": f"Bearer {server.key}"}, timeout=60)

    def chat(self, **more: Any) -> httpx.Response:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[say:Hello]]"}], **more}
        return self.http.post("/v1/chat/completions", json=body)

    def works(self) -> None:
        """Everything does: inference, storing, listing, readiness."""
        assert self.chat().status_code == 200
        kept = self.chat(store=True)
        assert kept.status_code == 200, kept.text
        assert self.http.get(f"/v1/chat/completions/{kept.json()['id']}").status_code == 200
        assert self.http.get("/readyz").status_code == 200

    def recovers(self) -> None:
        """The same, some seconds later at most."""
        until = time.monotonic() + SOON_S
        while time.monotonic() < until and not (self.http.get("/readyz").status_code == self.chat(store=True).status_code == 200):
            time.sleep(0.1)
        self.works()

    def infers_quickly(self) -> None:
        begun = time.monotonic()
        for _ in range(5):
            assert self.chat().status_code == 200
        assert time.monotonic() - begun < QUICKLY_S

    def refuses_soon(self, **more: Any) -> None:
        """To store, with a 503 as OpenAI would say it."""
        self._refused(lambda: self.chat(store=True, **more))

    def lists_nothing(self) -> None:
        self._refused(lambda: self.http.get("/v1/chat/completions"))

    def is_not_ready(self) -> None:
        self._refused(lambda: self.http.get("/readyz"))

    def knows_no_strangers(self) -> None:
        """A key that may have been made meanwhile is neither accepted nor called wrong."""
        headers = {"authorization": "Bearer sk-perhaps-made-meanwhile-0123456789"}
        self._refused(lambda: self.http.get("/v1/models", headers=headers))

    def _refused(self, ask: Any) -> None:
        begun = time.monotonic()
        reply = ask()
        assert time.monotonic() - begun < SOON_S
        assert reply.status_code == 503, reply.text
        assert reply.json()["error"]["code"] == "storage_unavailable"
        conforms(reply.json(), "ErrorResponse")


@contextmanager
def house_on(folder: Path, url: str) -> Iterator[House]:
    with started(folder, environ={"OPENHEARTH_DATABASE_URL": url}) as server:
        house = House(server)
        with house.http:
            yield house
        assert "Traceback" not in server.output.read_text()
        assert "unforeseen" not in server.output.read_text()


@pytest.fixture
def sqlite_house(tmp_path: Path) -> Iterator[House]:
    with house_on(tmp_path / "data", f"sqlite+aiosqlite:///{tmp_path}/store/house.db") as house:
        house.works()
        yield house


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """One that other tests don't need."""
    with postgres_server() as server:
        yield server


def after_a_look() -> None:
    """The guard's view of the keys is old now, and must be read again."""
    time.sleep(1.2)


def test_sqlite_locked_by_another_program(sqlite_house: House, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store" / "house.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        after_a_look()
        sqlite_house.infers_quickly()
        sqlite_house.refuses_soon()
        sqlite_house.infers_quickly()
        other.execute("ROLLBACK")
    sqlite_house.works()


def test_sqlite_file_gone_and_back(sqlite_house: House, tmp_path: Path) -> None:
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    after_a_look()
    sqlite_house.infers_quickly()
    sqlite_house.refuses_soon()
    sqlite_house.lists_nothing()
    sqlite_house.is_not_ready()
    sqlite_house.knows_no_strangers()
    assert not (tmp_path / "store").exists(), "a new, empty database was made"
    (tmp_path / "elsewhere").rename(tmp_path / "store")
    sqlite_house.recovers()


def test_sqlite_file_replaced_by_a_copy(sqlite_house: House, tmp_path: Path) -> None:
    """What is stored afterwards is in the new file, not in the one that nobody sees any more."""
    store = tmp_path / "store"
    with closing(sqlite3.connect(store / "house.db")) as there, closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        there.backup(copy)
    for part in store.iterdir():
        part.unlink()
    shutil.move(tmp_path / "copy.db", store / "house.db")
    kept = sqlite_house.chat(store=True).json()["id"]
    with closing(sqlite3.connect(store / "house.db")) as now:
        assert now.execute("SELECT count(*) FROM stored_completions WHERE id = ?", (kept,)).fetchone() == (1,)


def test_disk_full(sqlite_house: House) -> None:
    process = psutil.Process(sqlite_house.server.process.pid)
    limits = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    after_a_look()
    for _ in range(2):
        sqlite_house.refuses_soon(metadata={"a": "b"}, user="u", stop=None, prediction=None, messages=[{"role": "user", "content": LONG}])
    sqlite_house.infers_quickly()
    assert sqlite_house.http.get("/v1/chat/completions").status_code == 200
    process.rlimit(resource.RLIMIT_FSIZE, limits)
    sqlite_house.works()


def test_postgresql_stopped_and_started_in_the_middle_of_traffic(own_postgres: Postgres, tmp_path: Path) -> None:
    with house_on(tmp_path, own_postgres.empty()) as house:
        house.works()
        own_postgres.stop()
        try:
            house.infers_quickly()
            after_a_look()
            house.infers_quickly()
            house.refuses_soon()
            house.lists_nothing()
            house.is_not_ready()
            house.knows_no_strangers()
            house.infers_quickly()
        finally:
            own_postgres.start()
        house.recovers()
        assert "can't be reached" in house.server.output.read_text()
        assert "reached again" in house.server.output.read_text()


def test_postgresql_frozen(own_postgres: Postgres, tmp_path: Path) -> None:
    """Connections are there and new ones are taken, but nothing answers."""
    with house_on(tmp_path, own_postgres.empty()) as house:
        house.works()
        with own_postgres.frozen():
            after_a_look()
            assert house.chat().status_code == 200  # may wait for the guard's patience, once
            house.is_not_ready()
            house.infers_quickly()
            house.refuses_soon()
            with ThreadPoolExecutor(40) as clients:  # more than there are connections
                list(clients.map(lambda _: house.refuses_soon(), range(40)))
        house.recovers()


def test_a_start_without_the_database_says_so(own_postgres: Postgres, tmp_path: Path) -> None:
    url = own_postgres.empty()
    own_postgres.stop()
    (tmp_path / "openhearth.toml").write_text(FAKE)
    try:
        ended = _openhearth("serve", "--port", "0", data_dir=tmp_path, OPENHEARTH_DATABASE_URL=url)
        refused = _openhearth("db", "status", data_dir=tmp_path, OPENHEARTH_DATABASE_URL=url)
    finally:
        own_postgres.start()
    for said in (ended, refused):
        assert said.returncode == 74
        assert "Can't open the database" in said.stderr
        assert "Traceback" not in said.stderr


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Root may write everywhere but on a file system that can't be written."""
    if os.getuid() != 0:
        parts = [*folder.iterdir(), folder]
        for part in parts:
            part.chmod(0o555 if part.is_dir() else 0o444)
        yield
        for part in reversed(parts):
            part.chmod(0o755)
        return
    mounted = subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr}")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = _openhearth("db", "upgrade", data_dir=folder)
    assert made.returncode == 0, made.stderr
    with read_only(folder):
        for arguments, status in ((("db", "restore", "x.db"), 73), (("serve", "--port", "0"), 73), (("keys", "list"), 74)):
            refused = _openhearth(*arguments, data_dir=folder)
            assert refused.returncode == status, (arguments, refused.stderr)
            assert "Traceback" not in refused.stderr
    assert _openhearth("db", "status", data_dir=folder).returncode == 0


def _openhearth(*arguments: str, data_dir: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENHEARTH_")}
    return subprocess.run(
        [sys.executable, "-m", "openhearth", *arguments],
        env={**kept, "OPENHEARTH_DATA_DIR": str(data_dir), **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
