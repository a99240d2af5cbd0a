"""`openhearth usage` as a shell sees it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from openhearth.usage.sums import COUNTS
from tests.cli.test_commands import openhearth

NOVEMBER = 1_793_491_200
DAY = 86400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of two models, and the month before."""
    folder = tmp_path_factory.mktemp("house")
    assert openhearth("usage", data_dir=folder).returncode == 0
    database = sqlite3.connect(folder / "openhearth.db")
    for day, model, cost in (
        (NOVEMBER, "a:1b", 1_234),
        (NOVEMBER + DAY, "a:1b", 0),
        (NOVEMBER + DAY, "b:1b", 10**10),
        (NOVEMBER - 1, "a:1b", 5),
    ):
        for width in (60, 3600, DAY):
            row: dict[str, Any] = dict.fromkeys(COUNTS, 0)
            row |= {"width": width, "start": day // width * width, "operation": "completions", "project_id": "proj_default"}
            row |= {"user_id": "user-gone", "api_key_id": "local", "model": model, "batch": 0, "service_tier": "default"}
            row |= {
                "detail": "",
                "source": "",
                "requests": 2,
                "input_tokens": 100,
                "cached_tokens": 10,
                "output_tokens": 50,
                "output_cost": cost,
            }
            names = ", ".join(row)
            database.execute(f"INSERT INTO usage ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))  # noqa: S608
    database.commit()
    database.close()
    return folder


def told(folder: Path, *arguments: str) -> str:
    shown = openhearth("usage", "--month", "2026-11", *arguments, data_dir=folder)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_a_table_with_its_total(folder: Path) -> None:
    lines = [line.split() for line in told(folder).splitlines()]
    assert lines == [
        ["MODEL", "REQUESTS", "INPUT", "CACHED", "OUTPUT", "COST"],
        ["b:1b", "2", "100", "10", "50", "$10.00"],
        ["a:1b", "4", "200", "20", "100", "$0.000001"],
        ["total", "6", "300", "30", "150", "$10.000001"],
    ]


def test_by_everything(folder: Path) -> None:
    assert [line["day"] for line in json.loads(told(folder, "--by", "day", "--json"))] == ["2026-11-01", "2026-11-02"]
    assert "Default project (proj_default)" in told(folder, "--by", "project")
    assert "this machine (local)" in told(folder, "--by", "key")
    (user,) = json.loads(told(folder, "--by", "user", "--json"))
    assert user == {
        "user": "user-gone", "name": None, "requests": 6, "input_tokens": 300, "cached_tokens": 30, "output_tokens": 150,
        "cost_usd": 10.000001234,
    }  # fmt: skip


def test_csv_is_exact(folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(told(folder, "--csv"))))
    assert [(row["model"], row["cost_usd"]) for row in rows] == [("b:1b", "10.000000000"), ("a:1b", "0.000001234")]
    assert next(csv.DictReader(io.StringIO(told(folder, "--csv", "--by", "project"))))["name"] == "Default project"


def test_months(folder: Path) -> None:
    assert json.loads(openhearth("usage", "--month", "2026-10", "--json", data_dir=folder).stdout)[0]["requests"] == 2
    empty = openhearth("usage", "--month", "1999-01", data_dir=folder)
    assert (empty.returncode, empty.stdout) == (0, "")
    assert "Nothing was used" in empty.stderr
    assert openhearth("usage", "--month", "November", data_dir=folder).returncode == 2
    assert openhearth("usage", "--json", "--csv", data_dir=folder).returncode == 2


def test_limits(tmp_path: Path) -> None:
    def limit(*arguments: str) -> Any:
        return openhearth("usage", "limit", *arguments, data_dir=tmp_path)

    assert limit("show").returncode != 0
    assert "At most $12.50 a month for the organization" in limit("set", "12.50").stderr
    assert limit("show").stdout == "$12.50 a month (not reached)\n"
    assert json.loads(limit("show", "--json").stdout)["threshold_amount"] == 1250
    assert limit("set", "3", "--project", "proj_default").returncode == 0
    assert json.loads(limit("show", "--json", "--project", "proj_default").stdout)["object"] == "project.spend_limit"
    assert "No project" in limit("set", "3", "--project", "proj_nope").stderr
    for wrong in ("0", "-1", "1.234", "x", "nan", "1e30"):
        assert limit("set", "--", wrong).returncode == 2, wrong
    assert limit("remove").returncode == 0
    assert limit("remove").returncode != 0
