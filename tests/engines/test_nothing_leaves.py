"""Engines and server write nothing into the home, look up no name, open no socket but their own: libraries' telemetry is off."""

from __future__ import annotations

import json
import re
import shutil
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from openhearth.engines.contract import EngineKind, EngineSpec, Launcher
from openhearth.engines.embedding import EmbeddingLauncher
from openhearth.engines.llama import Defaults, LlamaLauncher
from openhearth.engines.running import RunningChild
from tests.support.pulled import link_models, minilm, smollm2
from tests.support.serving import started as started_server

REQUESTS: dict[EngineKind, tuple[str, dict[str, object]]] = {
    "embedding": ("/v1/embeddings", {"input": "a river"}),
    "llama": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}),
}


@pytest.fixture(scope="module")
def models() -> dict[EngineKind, Path]:
    return {"embedding": minilm(), "llama": smollm2()}


async def started_engine(kind: EngineKind, model: Path, folder: Path) -> RunningChild:
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
    running = await started_engine(kind, models[kind], tmp_path)
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


@pytest.mark.real
def test_the_whole_server_leaves_nothing_and_connects_to_nobody(tmp_path: Path) -> None:
    data, home = tmp_path / "data", tmp_path / "home"
    home.mkdir()
    link_models(data)
    with started_server(data, config="", flags=("--offline",), environ={"HOME": str(home), "XDG_CACHE_HOME": ""}) as server:
        for path, body in (
            ("/chat/completions", {"model": "gpt-4o-mini", **REQUESTS["llama"][1]}),
            ("/embeddings", {"model": "text-embedding-3-small", **REQUESTS["embedding"][1]}),
        ):
            headers = {"authorization": f"Bearer {server.key}"}
            urllib.request.urlopen(
                urllib.request.Request(server.base_url + path, data=json.dumps(body).encode(), headers=headers), timeout=60
            ).close()
        family = [psutil.Process(server.process.pid), *server.children()]
        assert len(family) == 3
        remote = {c.raddr.ip for process in family for c in process.net_connections("inet") if c.raddr}
        assert remote <= {"127.0.0.1"}
    assert [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()] == []
