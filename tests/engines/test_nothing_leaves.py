"""Engines write nothing into the user's home, look up no name, and open no socket but their own: libraries' telemetry is off."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import psutil
import pytest

from openhearth.engines.contract import EngineKind, EngineSpec, Launcher
from openhearth.engines.embedding import EmbeddingLauncher
from openhearth.engines.llama import Defaults, LlamaLauncher
from openhearth.engines.running import RunningChild
from tests.support.pulled import minilm, smollm2

REQUESTS: dict[EngineKind, tuple[str, dict[str, object]]] = {
    "embedding": ("/v1/embeddings", {"input": "a river"}),
    "llama": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}),
}


@pytest.fixture(scope="module")
def models() -> dict[EngineKind, Path]:
    return {"embedding": minilm(), "llama": smollm2()}


async def started(kind: EngineKind, model: Path, folder: Path) -> RunningChild:
    if kind == "embedding":
        launcher: Launcher = EmbeddingLauncher(folder, threads=1)
        spec = EngineSpec("minilm", kind, model)
    else:
        launcher = LlamaLauncher(folder, Defaults(slots=1, threads=1, context=512))
        spec = EngineSpec("smollm2", kind, model)
    running = await launcher.start(spec)
    assert isinstance(running, RunningChild)
    return running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, for the test's children."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.mark.real
@pytest.mark.parametrize("kind", list(REQUESTS))
async def test_an_engine_leaves_no_file_and_opens_no_other_socket(
    kind: EngineKind, models: dict[EngineKind, Path], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace.txt"
    if strace := shutil.which("strace"):
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nexec {strace} -f -qq -e trace=socket,connect,bind -o {trace} {sys.executable} "$@"\n')
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))
    running = await started(kind, models[kind], tmp_path)
    path, body = REQUESTS[kind]
    try:
        assert json.loads(await running.client.post(path, json.dumps(body).encode()))
        family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
        assert [c for process in family for c in process.net_connections("inet")] == []
    finally:
        await running.stop()
    assert [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()] == []
    if strace:
        traced = trace.read_text()
        assert str(tmp_path) in traced, "its own socket should have been seen"
        assert re.findall(r"^.*(?:AF_INET|nscd).*$", traced, re.MULTILINE) == []
