"""`openhearth limits` as a shell sees it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from tests.cli.test_commands import openhearth
from tests.support.serving import FAKE


def test_shown_set_and_reset(tmp_path: Path) -> None:
    (tmp_path / "openhearth.toml").write_text(FAKE + "[limits]\nrequests_per_minute = 50\n")
    assert openhearth("limits", "list", data_dir=tmp_path).stdout.splitlines()[1].split() == ["fake:chat", "50", "10000000", "-"]
    asked = ("limits", "set", "fake:chat", "--requests-per-day", "9", "--images-per-minute", "3", "--json")
    row = json.loads(openhearth(*asked, data_dir=tmp_path).stdout)
    assert (row["max_requests_per_1_minute"], row["max_requests_per_1_day"], row["max_images_per_1_minute"]) == (50, 9, 3)
    assert json.loads(openhearth("limits", "list", "--json", data_dir=tmp_path).stdout)[0] == row
    assert "50 requests/min" in openhearth("limits", "reset", "fake:chat", data_dir=tmp_path).stderr
    assert "max_requests_per_1_day" not in json.loads(openhearth("limits", "list", "--json", data_dir=tmp_path).stdout)[0]
    with sqlite3.connect(tmp_path / "openhearth.db") as database:
        acts = database.execute("SELECT type, actor_id FROM audit_logs ORDER BY position").fetchall()
    assert acts == [("rate_limit.updated", "local"), ("rate_limit.deleted", "local")]


def test_mistakes(tmp_path: Path) -> None:
    (tmp_path / "openhearth.toml").write_text(FAKE)
    assert openhearth("limits", "set", "fake:chat", data_dir=tmp_path).returncode == 2
    assert openhearth("limits", "set", "fake:chat", "--requests-per-day", "-1", data_dir=tmp_path).returncode == 2
    for wrong in (("set", "nothing", "--requests-per-day", "1"), ("reset", "nothing"), ("list", "--project", "proj_nothing")):
        refused = openhearth("limits", *wrong, data_dir=tmp_path)
        assert refused.returncode == 1
        assert "nothing" in refused.stderr
