"""`openhearth webhooks`, as a shell sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.support.receiver import Receiver, receiver


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "openhearth.toml").write_text('[webhooks]\nallow = ["127.0.0.1"]\n')
    return tmp_path


def webhooks(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENHEARTH_")}
    environ = {**kept, "OPENHEARTH_DATA_DIR": str(data_dir)}
    command = [sys.executable, "-m", "openhearth", "webhooks", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)


def test_one_is_made_tested_listed_and_deleted(folder: Path, told: Receiver) -> None:
    made = webhooks("create", told.url("/ok"), "--event", "batch.completed", "--name", "mine", data_dir=folder)
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    (row,) = json.loads(webhooks("list", "--json", data_dir=folder).stdout)
    assert (row["name"], row["url"], row["event_types"]) == ("mine", told.url("/ok"), ["batch.completed"])
    assert row["id"] in webhooks("list", data_dir=folder).stdout
    assert secret not in json.dumps(row)
    tried = webhooks("test", row["id"], data_dir=folder)
    assert (tried.returncode, tried.stdout) == (0, "200\n"), tried.stderr
    (came,) = told.at("/ok")
    assert openai.OpenAI(api_key="none").webhooks.unwrap(came.body, came.headers, secret=secret).type == "batch.completed"
    assert webhooks("delete", row["id"], data_dir=folder).returncode == 0
    assert json.loads(webhooks("list", "--json", data_dir=folder).stdout) == []
    again = webhooks("delete", row["id"], data_dir=folder)
    assert again.returncode == 1
    assert "No webhook endpoint" in again.stderr


def test_a_test_that_is_not_taken_fails(folder: Path, told: Receiver) -> None:
    made = json.loads(webhooks("create", told.url("/status/500"), "--json", data_dir=folder).stdout)
    assert made["signing_secret"].startswith("whsec_")
    tried = webhooks("test", made["id"], data_dir=folder)
    assert (tried.returncode, tried.stdout) == (1, "500\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("https://10.0.0.1/x",),
        ("http://hook.invalid/",),
        ("https://127.0.0.1/", "--event", "batch.sung"),
        ("https://127.0.0.1/", "--name", "a\nb"),
        ("https://127.0.0.1/", "--project", "proj_nope"),
    ],
)
def test_mistakes_are_explained(folder: Path, arguments: tuple[str, ...]) -> None:
    refused = webhooks("create", *arguments, data_dir=folder)
    assert refused.returncode == 1
    assert refused.stderr.startswith("openhearth: ")
    assert "Traceback" not in refused.stderr


def test_a_wrong_network_in_the_settings(folder: Path) -> None:
    (folder / "openhearth.toml").write_text('[webhooks]\nallow = ["10.0.0.1/8"]\n')
    assert webhooks("list", data_dir=folder).returncode == 78
