"""`openhearth projects` and `openhearth keys`, as a shell sees them, on a data folder that no server has seen."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from openhearth.store.database import Database
from tests.cli.test_commands import openhearth
from tests.support.people import add_user


def told(*arguments: str, data_dir: Path) -> Any:
    done = openhearth(*arguments, "--json", data_dir=data_dir)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def known_user(data_dir: Path, email: str) -> None:
    async def add() -> None:
        database = Database(f"sqlite+aiosqlite:///{data_dir / 'openhearth.db'}")
        await add_user(database, email)
        await database.close()

    asyncio.run(add())


def test_a_projects_life(tmp_path: Path) -> None:
    project_id = openhearth("projects", "create", "website", data_dir=tmp_path).stdout.strip()
    assert project_id.startswith("proj_")
    assert {p["name"] for p in told("projects", "list", data_dir=tmp_path)} == {"Default project", "website"}
    known_user(tmp_path, "anna@example.org")
    assert openhearth("projects", "add-member", "website", "Anna@example.org", data_dir=tmp_path).returncode == 0
    assert {u["email"]: u["role"] for u in told("projects", "members", "website", data_dir=tmp_path)} == {
        "owner@localhost": "owner",
        "anna@example.org": "member",
    }
    assert openhearth("projects", "remove-member", project_id, "anna@example.org", data_dir=tmp_path).returncode == 0
    shown = told("projects", "show", "website", data_dir=tmp_path)
    assert (shown["status"], shown["data_retention"]) == ("active", "organization_default")
    assert openhearth("projects", "archive", "website", data_dir=tmp_path).returncode == 0
    assert [p["id"] for p in told("projects", "list", data_dir=tmp_path)] == ["proj_default"]
    table = openhearth("projects", "list", "--all", data_dir=tmp_path).stdout
    assert "archived" in table
    assert openhearth("projects", "show", "website", data_dir=tmp_path).returncode == 1
    assert openhearth("projects", "archive", "proj_default", data_dir=tmp_path).returncode == 1


def test_keys_for_everyone(tmp_path: Path) -> None:
    openhearth("projects", "create", "website", data_dir=tmp_path)
    arguments = ("ci", "--project", "website", "--service-account", "deploy", "--scopes", "read,api.model.request", "--expires", "30d")
    for _ in range(2):
        made = told("keys", "create", *arguments, data_dir=tmp_path)
    assert made["key"].startswith("sk-svcacct-")
    assert made["scopes"] == ["api.all.read", "api.model.request"]
    assert made["expires_at"] - made["created_at"] == 30 * 86400
    assert told("keys", "create", "tf", "--admin", data_dir=tmp_path)["key"].startswith("sk-admin-")
    assert openhearth("keys", "create", "laptop", data_dir=tmp_path).stdout.startswith("sk-proj-")
    mine = told("keys", "list", "--project", "website", data_dir=tmp_path)
    assert [(key["name"], key["owner"]) for key in mine] == [("ci", "deploy")] * 2
    assert len({key["service_account_id"] for key in mine}) == 1
    assert len(told("keys", "list", data_dir=tmp_path)) == 4
    assert openhearth("keys", "revoke", made["id"], data_dir=tmp_path).returncode == 0
    assert len(told("keys", "list", data_dir=tmp_path)) == 3
    assert "REVOKED" in openhearth("keys", "list", "--all", data_dir=tmp_path).stdout


@pytest.mark.parametrize(
    "wrong",
    [
        ("--admin", "--project", "x"),
        ("--expires", "400d"),
        ("--expires", "0d"),
        ("--expires", "soon"),
        ("--service-account", "two\nlines"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(wrong: tuple[str, ...], tmp_path: Path) -> None:
    assert openhearth("keys", "create", "x", *wrong, data_dir=tmp_path).returncode == 2


@pytest.mark.parametrize(
    "wrong", [("--scopes", "api.nothing"), ("--scopes", "api.projects.write"), ("--project", "none"), ("--service-account", "svc_acct_x")]
)
def test_what_is_not_there_is_said(wrong: tuple[str, ...], tmp_path: Path) -> None:
    done = openhearth("keys", "create", "x", *wrong, data_dir=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_project_is_called_by_its_name_in_every_command(tmp_path: Path) -> None:
    openhearth("projects", "create", "website", data_dir=tmp_path)
    for command in (("limits", "list"), ("webhooks", "list"), ("usage", "limit", "set", "5"), ("usage", "limit", "show")):
        named = openhearth(*command, "--project", "website", data_dir=tmp_path)
        assert named.returncode == 0, named.stderr
        wrong = openhearth(*command, "--project", "wibsite", data_dir=tmp_path)
        assert (wrong.returncode, "No project 'wibsite'" in wrong.stderr) == (1, True), wrong.stderr
