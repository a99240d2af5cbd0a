"""Starting and standing still: install time and size, cold and warm start, idle memory; beside other servers.

    python benchmarks/start.py install [REQUIREMENT]         a fresh environment, an empty pip cache: seconds and MB; this repository if
                                                             nothing is named
    python benchmarks/start.py run --data-dir FOLDER [--rounds 5]
                                                             FOLDER has the default models; process start -> answering -> first token
    python benchmarks/start.py peer MODEL.gguf               the same for llama.cpp's own server in Python (xllamacpp), no front
    python benchmarks/start.py litellm EXECUTABLE            the same for the LiteLLM proxy, which has a backend that answers at once

"Cold" drops nothing from the kernel's cache; it is the first start after an install: Python has to compile everything. "Warm" are the
later ones, medians of the rounds. The first token is asked for as soon as the server answers, so the engine's start is in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from front import KEY, LITELLM_ENVIRON, free_port, litellm_command, litellm_config, running
from whole import LLAMA

ROOT = Path(__file__).parents[1]
MIB = 2**20


def install(what: str) -> None:
    """`pip install` into a new environment without cache."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        before = size(Path(folder))
        started = time.perf_counter()
        subprocess.run([f"{folder}/bin/pip", "install", "-q", "--no-cache-dir", what], check=True)
        took_s, name = time.perf_counter() - started, "." if what == str(ROOT) else what
        print(f"| pip install {name} | {took_s:.0f} s | {(size(Path(folder)) - before) / MIB:.0f} MiB |")


def size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@contextmanager
def started(command: list[str], root: str, environ: dict[str, str]) -> Iterator[tuple[psutil.Process, float]]:
    """The process, and the seconds until it answered."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "OPENHEARTH_API_KEY": KEY, **environ}, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(
                    urllib.request.Request(f"{root}/v1/models", headers={"authorization": f"Bearer {KEY}"}), timeout=5
                ).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{command} ended with {process.returncode}") from None
                time.sleep(0.005)
        yield psutil.Process(process.pid), time.perf_counter() - began
    finally:
        process.send_signal(2)
        process.wait(30)


def first_token(root: str) -> float:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    began = time.perf_counter()
    urllib.request.urlopen(urllib.request.Request(f"{root}/v1/chat/completions", json.dumps(body).encode(), headers), timeout=300).read()
    return time.perf_counter() - began


def start(command: list[str], port: int, environ: dict[str, str]) -> tuple[float, float, float, float]:
    """Seconds to an answer and to the first token, MiB of the server and of its engines."""
    root = f"http://127.0.0.1:{port}"
    with started(command, root, environ) as (process, seconds):
        token = seconds + first_token(root)
        engines = sum(child.memory_info().rss for child in process.children(recursive=True))
        return seconds, token, process.memory_info().rss / MIB, engines / MIB


def measure(name: str, rounds: int, command: Callable[[int], list[str]], environ: dict[str, str] | None = None) -> None:
    """One line."""
    port = free_port()
    with tempfile.TemporaryDirectory() as empty:
        cold = start(command(port), port, {**(environ or {}), "PYTHONPYCACHEPREFIX": empty})
    taken = []
    for _ in range(rounds):
        port = free_port()
        taken.append(start(command(port), port, environ or {}))
    answering, token, own, engines = (statistics.median(values) for values in zip(*taken, strict=True))
    print(
        f"| {name} | {cold[0]:.2f} s | {cold[1]:.2f} s | {answering:.2f} s | {token:.2f} s | {own:.0f} MiB | {engines:.0f} MiB |",
        flush=True,
    )


def peer_litellm(executable: str, rounds: int) -> None:
    with ExitStack() as stack:
        backend = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, str(Path(__file__).parent / "backend.py"), backend.rpartition(":")[2]]
        stack.enter_context(running(command, f"{backend}/v1/models"))
        config = Path(stack.enter_context(tempfile.TemporaryDirectory()), "config.yaml")
        config.write_text(litellm_config(backend, "gpt-4o-mini"))
        measure("litellm proxy", rounds, lambda port: litellm_command(executable, config, port), LITELLM_ENVIRON)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["install", "run", "peer", "litellm"])
    parser.add_argument("subject", nargs="?", help="a requirement, a GGUF file, an executable")
    parser.add_argument("--data-dir")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.what == "install":
        install(given.subject or str(ROOT))
        return
    print(
        "| server | answering, cold | first token, cold | answering | first token | itself | its engines |\n|---|---|---|---|---|---|---|"
    )
    if given.what == "run":
        flags = ["--data-dir", given.data_dir] if given.data_dir else []
        measure("openhearth", given.rounds, lambda port: [sys.executable, "-m", "openhearth", "serve", "--port", str(port), *flags])
    elif given.what == "peer":
        script = LLAMA.format(key=KEY)
        measure("llama.cpp's server", given.rounds, lambda port: [sys.executable, "-c", script, given.subject, str(port), "4", "2048", "1"])
    else:
        peer_litellm(given.subject, given.rounds)


if __name__ == "__main__":
    main()
