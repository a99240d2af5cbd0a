"""Real servers for tests: `openhearth serve` as a process of its own."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

KEY = "sk-test-0123456789abcdef0123456789"
FAKE = """
default_model = "fake:chat"
embedding_model = "fake:embed"

[[models]]
name = "fake:chat"
engine = "fake"
task = "chat"

[[models]]
name = "fake:embed"
engine = "fake"
task = "embedding"
"""
START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class RunningServer:
    """A server and how to reach it. `base_url` ends with `/v1`."""

    root: str
    key: str
    data_dir: Path
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def base_url(self) -> str:
        return self.root + "/v1"

    @property
    def environ(self) -> dict[str, str]:
        """What a program must have set: nothing but key and address, for both generations of the client."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "OPENAI_API_KEY": self.key, "OPENAI_BASE_URL": self.base_url, "OPENAI_API_BASE": self.base_url}

    def children(self) -> list[psutil.Process]:
        """Its engines' processes."""
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def started(
    data_dir: Path,
    config: str = FAKE,
    *,
    flags: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    open_files: tuple[int, int] | None = None,
) -> Iterator[RunningServer]:
    """Start a server on a free port with this openhearth.toml; stopped like with Ctrl-C, and nothing of it may be left.

    `open_files`: its soft and hard limit.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "openhearth.toml").write_text(config, encoding="utf-8")
    output = data_dir / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "openhearth", "serve", "--port", "0", "--data-dir", str(data_dir), *flags],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OPENHEARTH_API_KEY": KEY, **(environ or {})},
            preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, open_files)) if open_files else None,
        )
    try:
        root = _address(process, data_dir, output)
        yield RunningServer(root, KEY, data_dir, process, output)
    finally:
        _stop(process)


def greeting(server: RunningServer) -> str:
    """What a start prints, whole: it answers before it has printed all."""
    until = time.monotonic() + 30
    while "Ctrl-C stops it." not in (shown := server.output.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    return shown


def _address(process: subprocess.Popen[bytes], data_dir: Path, output: Path) -> str:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            root = str(json.loads((data_dir / "server.json").read_bytes())["base_url"])
            with urllib.request.urlopen(root + "/readyz", timeout=5):
                return root
        except (OSError, ValueError):
            time.sleep(0.02)
    raise AssertionError(f"The server did not start:\n{output.read_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    engines = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    left = [engine for engine in engines if engine.is_running()]
    assert not left, f"engines left behind: {left}"
