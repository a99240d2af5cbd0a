"""Starting and standing still: install time and size, cold and warm start, idle memory; beside another server of GGUF models.

    python benchmarks/start.py install                       a fresh environment, an empty pip cache: seconds and MB
    python benchmarks/start.py run --data-dir FOLDER [--rounds 5]
                                                             FOLDER has the default models; process start -> answering -> first token
    python benchmarks/start.py peer MODEL.gguf               the same for llama.cpp's own server in Python (xllamacpp), no front

"Cold" drops nothing from the kernel's cache; it is the first start after an install (Python has to compile), "warm" the later ones.
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
from contextlib import contextmanager
from pathlib import Path

import psutil

from front import KEY, free_port
from whole import LLAMA

ROOT = Path(__file__).parents[1]
MIB = 2**20


def install() -> None:
    """`pip install .` into a new environment without cache."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        before = size(Path(folder))
        started = time.perf_counter()
        subprocess.run([f"{folder}/bin/pip", "install", "-q", "--no-cache-dir", str(ROOT)], check=True)
        print(f"| pip install . | {time.perf_counter() - started:.0f} s | {(size(Path(folder)) - before) / MIB:.0f} MiB |")


def size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@contextmanager
def started(command: list[str], root: str) -> Iterator[tuple[psutil.Process, float]]:
    """The process, and the seconds until it answered."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "OPENHEARTH_API_KEY": KEY}, stdout=subprocess.DEVNULL)
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


def measure(name: str, rounds: int, command: Callable[[int], list[str]]) -> None:
    """One line: medians."""
    answering, tokens, own, engine = [], [], [], []
    for _ in range(rounds):
        port = free_port()
        with started(command(port), f"http://127.0.0.1:{port}") as (process, seconds):
            answering.append(seconds)
            tokens.append(seconds + first_token(f"http://127.0.0.1:{port}"))
            own.append(process.memory_info().rss / MIB)
            engine.append(sum(child.memory_info().rss for child in process.children(recursive=True)) / MIB)
    print(
        f"| {name} | {statistics.median(answering):.2f} s | {statistics.median(tokens):.2f} s "
        f"| {statistics.median(own):.0f} MiB | {statistics.median(engine):.0f} MiB |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["install", "run", "peer"])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--data-dir")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.what == "install":
        install()
        return
    print("| server | answering | first token | itself | its engines |\n|---|---|---|---|---|")
    if given.what == "run":
        flags = ["--data-dir", given.data_dir] if given.data_dir else []
        measure("openhearth", given.rounds, lambda port: [sys.executable, "-m", "openhearth", "serve", "--port", str(port), *flags])
    else:
        script = LLAMA.format(key=KEY)
        measure("llama.cpp's server", given.rounds, lambda port: [sys.executable, "-c", script, given.model, str(port), "4", "2048", "1"])


if __name__ == "__main__":
    main()
