"""`openhearth db` as a shell sees it, around real servers: from SQLite to PostgreSQL and back, with what clients stored and their keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from openhearth.store.address import of_file
from openhearth.store.database import HEAD
from openhearth.store.upgrading import upgrade
from tests.support.databases import Postgres
from tests.support.serving import RunningServer, started

HELLO: list[Any] = [{"role": "user", "content": "[[say:Hello]]"}]
ADMIN_KEY = "sk-admin-0123456789abcdef0123456789"


def db(*arguments: str, data_dir: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENHEARTH_")}
    return subprocess.run(
        [sys.executable, "-m", "openhearth", *arguments],
        env={**kept, "OPENHEARTH_DATA_DIR": str(data_dir), **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def client_of(server: RunningServer, key: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=key or server.key, max_retries=0)


def test_a_house_moves_from_sqlite_to_postgresql_and_back(postgres: Postgres, tmp_path: Path) -> None:
    data, backup, again = tmp_path / "data", str(tmp_path / "house.db"), str(tmp_path / "again.db")
    url = {"OPENHEARTH_DATABASE_URL": postgres.empty()}
    with started(data) as server, client_of(server) as client:
        stored = client.chat.completions.create(model="gpt-4o", messages=HELLO, store=True, metadata={"topic": "a"}).id
        made = db("keys", "create", "laptop", "--json", data_dir=data)
        laptop = json.loads(made.stdout)["key"]
        written = db("db", "backup", backup, data_dir=data)
        assert written.returncode == 0, written.stderr
        client.chat.completions.create(model="gpt-4o", messages=HELLO, store=True)
        refused = db("db", "restore", backup, "--force", data_dir=data)
        assert refused.returncode == 75
        assert "Stop it" in refused.stderr
    moved = db("db", "restore", backup, data_dir=data, **url)
    assert moved.returncode == 0, moved.stderr
    with started(data, environ=url) as server, client_of(server, laptop) as client:
        assert [kept.id for kept in client.chat.completions.list()] == [stored]
        later = client.chat.completions.create(model="gpt-4o", messages=HELLO, store=True).id
        assert db("db", "backup", again, data_dir=data, **url).returncode == 0
        elsewhere = db("db", "restore", again, "--force", data_dir=tmp_path / "other", **url)
        assert elsewhere.returncode == 75, "a server on another data folder was not noticed"
    back = db("db", "restore", again, data_dir=data)
    assert back.returncode == 73
    assert "--force" in back.stderr
    assert db("db", "restore", again, "--force", data_dir=data).returncode == 0
    with started(data) as server, client_of(server, laptop) as client:
        assert [kept.id for kept in client.chat.completions.list()] == [stored, later]


def test_keys_are_made_and_revoked_beside_a_server_on_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    url = {"OPENHEARTH_DATABASE_URL": postgres.empty()}
    with started(tmp_path, environ=url) as server:
        made = json.loads(db("keys", "create", "laptop", "--json", data_dir=tmp_path, **url).stdout)
        with client_of(server, made["key"]) as client:
            assert client.chat.completions.create(model="gpt-4o", messages=HELLO).choices[0].message.content == "Hello"
            assert db("keys", "revoke", made["id"], data_dir=tmp_path, **url).returncode == 0
            time.sleep(1.5)
            with pytest.raises(openai.AuthenticationError):
                client.models.list()


def test_status_before_and_after(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = json.loads(db("db", "status", "--json", data_dir=data).stdout)
    assert (before["schema"], before["bytes"], before["rows"]) == (None, 0, {})
    assert not data.exists(), "to look has made it"
    assert "nothing to do" not in db("db", "upgrade", data_dir=data).stderr
    now = json.loads(db("db", "status", "--json", data_dir=data).stdout)
    assert now["schema"] == now["program_schema"] == HEAD
    assert now["rows"]["organizations"] == now["rows"]["users"] == 1
    assert now["bytes"] > 0
    shown = db("db", "status", data_dir=data).stdout
    assert "openhearth.db" in shown
    assert "organizations" in shown


async def test_upgrade_says_what_it_did_and_waits_for_no_server_in_the_way(tmp_path: Path) -> None:
    await upgrade(of_file(tmp_path / "openhearth.db"), to="0001")
    assert json.loads(db("db", "upgrade", "--json", data_dir=tmp_path).stdout) == {"from": "0001", "to": HEAD}
    assert "nothing to do" in db("db", "upgrade", data_dir=tmp_path).stderr
    with started(tmp_path) as _server:
        assert db("db", "upgrade", data_dir=tmp_path).returncode == 0


def test_a_backup_does_not_overwrite_and_needs_a_database(tmp_path: Path) -> None:
    data = tmp_path / "data"
    nothing = db("db", "backup", str(tmp_path / "b.db"), data_dir=data)
    assert nothing.returncode == 66
    assert not list(tmp_path.glob("*b.db*"))
    db("db", "upgrade", data_dir=data)
    (tmp_path / "b.db").write_text("mine")
    assert db("db", "backup", str(tmp_path / "b.db"), data_dir=data).returncode == 73
    assert (tmp_path / "b.db").read_text() == "mine"
    made = json.loads(db("db", "backup", str(tmp_path / "b.db"), "--force", "--json", data_dir=data).stdout)
    assert made == {"file": str(tmp_path / "b.db"), "bytes": (tmp_path / "b.db").stat().st_size, "schema": HEAD}
    assert db("db", "backup", str(tmp_path / "no" / "folder.db"), data_dir=data).returncode == 74
    assert "Traceback" not in db("db", "restore", str(tmp_path), data_dir=data).stderr
