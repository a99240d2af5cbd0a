"""pip's configuration, as pip itself reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openhearth.errors import DownloadFailed
from openhearth.models.fetching.pip_configuration import read


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def by_pip() -> dict[str, str]:
    """What pip itself finds."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    return {key: value.strip("'") for key, _, value in (line.partition("=") for line in done.stdout.splitlines())}


def test_files_in_pips_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each goes before the ones written earlier; pip agrees."""
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{home / 'xdg1'}:{home / 'xdg2'}")
    for number, name in enumerate(["xdg1/pip/pip.conf", "xdg2/pip/pip.conf", ".pip/pip.conf", ".config/pip/pip.conf"]):
        write(home / name, f"[global]\nindex_url = https://index{number}.example/simple\n")
        assert read().indexes[0] == f"https://index{number}.example/simple"
        if number % 2:
            assert by_pip()["global.index-url"] == f"https://index{number}.example/simple"
    write(home / "venv/pip.conf", "[install]\nindex-url = https://venv.example/simple\ncert = /own.pem\n")
    assert read(prefix=home / "venv").indexes[0] == "https://venv.example/simple"
    assert read(prefix=home / "venv").cert == "/own.pem"


def test_the_environment_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        home / ".config/pip/pip.conf",
        "[global]\nindex-url = https://user.example/simple\nextra-index-url = https://a.example\n  https://b.example\n",
    )
    assert read().indexes == ("https://user.example/simple", "https://a.example", "https://b.example")
    monkeypatch.setenv("PIP_INDEX_URL", "https://env.example/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://c.example https://d.example")
    assert read().indexes == ("https://env.example/simple", "https://c.example", "https://d.example")
    monkeypatch.setenv("PIP_NO_INDEX", "true")
    assert read().indexes == ()


def test_the_named_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://user.example/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(write(home / "own.conf", "[global]\nindex-url = https://own.example/simple\n")))
    assert read().indexes[0] == "https://own.example/simple" == by_pip()["global.index-url"]
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert read().indexes[0] not in ("https://own.example/simple", "https://user.example/simple")


def test_a_file_that_is_broken(home: Path) -> None:
    path = write(home / ".config/pip/pip.conf", "index-url = https://me:secret@user.example\n")
    with pytest.raises(DownloadFailed) as failed:
        read()
    assert str(path) in failed.value.message
    assert "secret" not in failed.value.message


def test_credentials_are_in_no_repr(home: Path) -> None:
    write(home / ".config/pip/pip.conf", "[global]\nindex-url = https://me:secret@user.example\n")
    assert "secret" not in repr(read())
