"""The official JavaScript client."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.serving import RunningServer

HERE = Path(__file__).parent / "javascript"


@pytest.fixture(scope="session")
def program() -> Path:
    """The program beside the packages that it needs, installed once."""
    cache = Path(os.environ.get("OPENHEARTH_TEST_CACHE") or Path.home() / ".cache" / "openhearth-tests") / "javascript"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{cache}.lock"):
        wanted = (HERE / "package.json").read_text()
        if not (cache / "complete").exists() or (cache / "complete").read_text() != wanted:
            shutil.copy(HERE / "package.json", cache)
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=cache, check=True, capture_output=True)
            (cache / "complete").write_text(wanted)
        shutil.copy(HERE / "program.mjs", cache)
    return cache / "program.mjs"


@pytest.mark.real
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_javascript_client(server: RunningServer, program: Path) -> None:
    done = subprocess.run(["node", str(program)], env=server.environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    assert {"fake:chat", "fake:embed"} <= set(seen.pop("models"))
    assert seen == {
        "chat": "Hello there, friend",
        "model": "fake:chat",
        "streamed": "Hello there, friend",
        "helper": "Hello there, friend",
        "tool": "look",
        "arguments": "string",
        "completion": "one two",
        "dimensions": 16,
        "error": [True, "temperature", "invalid_value"],
        "aborted": 3,
    }
