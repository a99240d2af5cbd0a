"""`openhearth users`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_commands import openhearth

PASSWORD = "a mighty fine river"


def test_people_are_made_shown_changed_and_removed(tmp_path: Path) -> None:
    def users(*arguments: str, stdin: str | None = None) -> str:
        done = openhearth("users", *arguments, data_dir=tmp_path, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    made = json.loads(users("create", "Ada@Example.com", "--password-stdin", "--json", stdin=PASSWORD + "\n"))
    assert (made["email"], made["role"], made["login"]) == ("ada@example.com", "reader", "password")
    assert json.loads(users("set-role", "ada@example.com", "owner", "--json"))["role"] == "owner"
    assert {row["email"] for row in json.loads(users("list", "--json"))} == {"owner@localhost", "ada@example.com"}
    assert json.loads(users("show", made["id"], "--json"))["projects"] == [
        {"id": "proj_default", "name": "Default project", "role": "member"}
    ]
    assert "Default project" in users("show", "ada@example.com")
    users("set-password", "ada@example.com", "--password-stdin", stdin="another mighty river\n")
    assert PASSWORD not in users("show", "ada@example.com", "--json")
    users("remove", "ada@example.com", "--yes")
    assert "ada@example.com" not in users("list")
    last = openhearth("users", "remove", "owner@localhost", "--yes", data_dir=tmp_path)
    assert last.returncode == 1
    assert "last owner" in last.stderr


def test_invites_and_their_links(tmp_path: Path) -> None:
    assert "No open links" in openhearth("users", "links", data_dir=tmp_path).stderr
    link = openhearth("users", "invite", "ada@example.com", data_dir=tmp_path).stdout.strip()
    assert link.startswith("http://127.0.0.1:8000/openhearth/auth/pages/accept?token=")
    [row] = json.loads(openhearth("users", "links", "--json", data_dir=tmp_path).stdout)
    assert (row["email"], row["purpose"], row["link"]) == ("ada@example.com", "invite", link)
    assert link in openhearth("users", "links", data_dir=tmp_path).stdout
    wrong = openhearth("users", "invite", "eve@example.com", "--project", "proj_none", data_dir=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert openhearth("users", "invite", "eve@example.com", "--project", "x=king", data_dir=tmp_path).returncode == 2


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    for arguments, told in (
        (("show", "nobody@example.com"), "No user"),
        (("invite", "nonsense"), "not an e-mail address"),
        (("set-role", "nobody@example.com", "owner"), "No user"),
    ):
        done = openhearth("users", *arguments, data_dir=tmp_path)
        assert done.returncode == 1
        assert told in done.stderr
    weak = openhearth("users", "create", "ada@example.com", "--password-stdin", data_dir=tmp_path, stdin="password123\n")
    assert weak.returncode == 1
    assert "password123" not in weak.stderr


def test_the_servers_secrets_arent_needed_here(tmp_path: Path) -> None:
    mail = '[mail]\nhost = "127.0.0.1"\nfrom = "hearth@example.com"\npassword_env = "NOT_SET_ANYWHERE"\n'
    oidc = '[oidc]\nissuer = "https://login.example.com"\nclient_id = "x"\nclient_secret_env = "NOT_SET_ANYWHERE"\n'
    (tmp_path / "openhearth.toml").write_text(mail + oidc)
    assert openhearth("users", "list", data_dir=tmp_path).returncode == 0
