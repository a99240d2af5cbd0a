"""The command line as a shell sees it: help, exit codes, JSON, no colours in a pipe, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openhearth import __version__
from tests.support.serving import RunningServer

COMMANDS = (
    "serve", "chat", "run", "pull", "models", "show", "rm", "ps", "projects", "keys", "users", "limits", "usage", "webhooks",
    "db", "doctor", "version",
)  # fmt: skip


def openhearth(*arguments: str, data_dir: Path, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a data folder of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENHEARTH_")}
    return subprocess.run(
        [sys.executable, "-m", "openhearth", *arguments],
        env={**kept, "OPENHEARTH_DATA_DIR": str(data_dir), **environ},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_help_names_every_command_and_has_examples(tmp_path: Path) -> None:
    shown = openhearth("--help", data_dir=tmp_path)
    assert shown.returncode == 0
    assert "Examples:" in shown.stdout
    for command in COMMANDS:
        assert f"\n  {command} " in shown.stdout
    assert "..." not in shown.stdout.partition("Commands:")[2], "a summary is cut off"
    for group in ("keys", "db"):
        assert "..." not in openhearth(group, "--help", data_dir=tmp_path).stdout.partition("Commands:")[2].partition("Examples:")[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, tmp_path: Path) -> None:
    shown = openhearth(command, "--help", data_dir=tmp_path)
    assert shown.returncode == 0
    assert "Examples:" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_version(tmp_path: Path) -> None:
    assert __version__ in openhearth("version", data_dir=tmp_path).stdout
    assert openhearth("--version", data_dir=tmp_path).stdout == f"openhearth {__version__}\n"
    assert json.loads(openhearth("version", "--json", data_dir=tmp_path).stdout)["version"] == __version__


def test_exit_codes(tmp_path: Path) -> None:
    assert openhearth("nonsense", data_dir=tmp_path).returncode == 2
    assert openhearth("ps", data_dir=tmp_path).returncode == 3
    assert openhearth("ps", data_dir=tmp_path, OPENHEARTH_PORT="x").returncode == 78
    assert openhearth("run", "hello", data_dir=tmp_path, OPENHEARTH_BASE_URL="http://127.0.0.1:9/v1").returncode == 3
    broken = openhearth("keys", "list", data_dir=tmp_path, OPENHEARTH_DATABASE_URL="nonsense")
    assert broken.returncode == 78
    assert "Traceback" not in broken.stderr


def test_the_settings_file_may_be_named_before_and_after_the_command(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("port = 'x'")
    named = ("--config", str(tmp_path / "mine.toml"))
    for arguments in ((*named, "ps"), ("ps", *named), ("keys", "list", *named), ("serve", *named)):
        refused = openhearth(*arguments, data_dir=tmp_path)
        assert refused.returncode == 78
        assert "mine.toml: 'port' must be an integer" in refused.stderr


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    made = json.loads(openhearth("keys", "create", "laptop", "--json", data_dir=tmp_path).stdout)
    assert made["key"].startswith("sk-")
    alone = openhearth("keys", "create", "script", data_dir=tmp_path).stdout.strip()
    assert alone.startswith("sk-")
    assert "\n" not in alone
    listed = openhearth("keys", "list", "--json", data_dir=tmp_path).stdout
    assert {row["name"] for row in json.loads(listed)} == {"laptop", "script"}
    assert made["key"] not in listed
    assert openhearth("keys", "revoke", made["id"], data_dir=tmp_path).returncode == 0
    assert [row["name"] for row in json.loads(openhearth("keys", "list", "--json", data_dir=tmp_path).stdout)] == ["script"]
    again = openhearth("keys", "revoke", made["id"], data_dir=tmp_path)
    assert again.returncode == 1
    assert "No single key" in again.stderr


@pytest.mark.parametrize("name", ["two\nlines", "x" * 300, "\x1b[31mred", " "])
def test_strange_key_names_are_refused(name: str, tmp_path: Path) -> None:
    assert openhearth("keys", "create", name, data_dir=tmp_path).returncode == 2


def test_an_open_pipe_that_says_nothing_is_told_of(tmp_path: Path) -> None:
    read, write = os.pipe()
    try:
        waiting = subprocess.Popen(
            [sys.executable, "-m", "openhearth", "run", "hi", "--data-dir", str(tmp_path)], stdin=read, stderr=subprocess.PIPE, text=True
        )
        assert waiting.stderr is not None
        assert "--no-stdin" in waiting.stderr.readline()
    finally:
        os.close(write)
        os.close(read)
    said = waiting.communicate(timeout=60)[1]
    assert "`openhearth pull smollm2:135m` fetches it" in said
    assert "On the server" not in said


def test_errors_do_not_speak_http(server: RunningServer, tmp_path: Path) -> None:
    there = {"OPENHEARTH_BASE_URL": server.base_url}
    unknown = openhearth("run", "hi", "-m", "no-such:model", data_dir=tmp_path, OPENHEARTH_API_KEY=server.key, **there).stderr
    assert "`openhearth models` lists" in unknown
    keyless = openhearth("run", "hi", data_dir=tmp_path, **there).stderr
    assert "OPENHEARTH_API_KEY" in keyless
    for said in (unknown, keyless):
        assert "GET" not in said
        assert "header" not in said


def test_chat_stays_with_its_model_where_the_other_can_not_talk(server: RunningServer, tmp_path: Path) -> None:
    said = openhearth(
        "chat", "-m", "fake:chat", data_dir=tmp_path, stdin="/model text-embedding-3-small\n", OPENHEARTH_BASE_URL=server.base_url,
        OPENHEARTH_API_KEY=server.key,
    )  # fmt: skip
    assert said.returncode == 1
    assert "is an embedding model" in said.stderr


def test_doctor_tells_what_fits_and_which_aliases_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "openhearth.toml").write_text('[engines]\nmemory_budget_mb = 3000\n[aliases]\n"ours" = "nope:1b"\n')
    (tmp_path / "aliases.toml").write_text('"theirs" = "smolm2:135m"\n')
    findings = json.loads(openhearth("doctor", "--json", data_dir=tmp_path, OPENHEARTH_PORT="0").stdout)
    found = {finding["name"]: finding["found"] for finding in findings}
    assert "smollm2:135m" in found["models that fit"]
    assert "gpt-oss:20b" in found["models too large"]
    aliases = [finding["found"] for finding in findings if finding["name"] == "alias" and finding["state"] == "warn"]
    assert any("'nope:1b'" in each for each in aliases)
    assert any("'theirs'" in each and "'smollm2:135m'" in each for each in aliases)


def test_doctor_reports_and_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    report = openhearth("doctor", "--json", data_dir=folder, OPENHEARTH_PORT="0")
    findings = json.loads(report.stdout)
    assert {"cpu", "memory", "python", "packages", "data folder", "database", "server"} <= {finding["name"] for finding in findings}
    assert report.returncode == 0, report.stdout
    assert not folder.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, tmp_path: Path) -> None:
    assert "_OPENHEARTH_COMPLETE" in openhearth("--show-completion", shell, data_dir=tmp_path).stdout


def test_start_up_loads_nothing_heavy() -> None:
    code = "import sys, openhearth.cli as c; c.application(); print(*sorted(m for m in sys.modules if '.' not in m))"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {
        "aiohttp",
        "sqlalchemy",
        "numpy",
        "onnxruntime",
        "xllamacpp",
        "huggingface_hub",
        "msgspec",
        "rich",
        "granian",
        "starlette",
    }
