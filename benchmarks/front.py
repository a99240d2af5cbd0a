"""What the front costs: Open Hearth and the LiteLLM proxy before the same backend, in one run.

    python benchmarks/front.py --litellm /path/to/venv/bin/litellm [--seconds 8] [--rounds 3]

The backend (`benchmarks/backend.py`) answers at once with 100 tokens. Every gateway checks a key and meters. Reported: requests and
streams per second at 64 connections, CPU of the gateway's own processes per request, what it adds to p50 and p99 at 100 requests per
second, and the ratios. Medians of the rounds; "per core" means one over the CPU time of a request.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
KEY = "sk-bench-0123456789abcdef"
MESSAGES = [{"role": "user", "content": "Say a hundred words."}]


@dataclass
class Gateway:
    """A server under load. `engine_names`: children that are backends, not front."""

    name: str
    root: str
    model: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """User and system time of the gateway's processes, without the engines they started."""
        processes = [self.process, *(c for c in self.process.children(recursive=True) if "openhearth.engines" not in " ".join(c.cmdline()))]
        return sum(sum(p.cpu_times()[:2]) for p in processes)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], url: str, environ: dict[str, str] | None = None) -> Iterator[psutil.Process]:
    """A server process, once it answers."""
    log = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(command, env={**os.environ, **(environ or {})}, stdout=log, stderr=log)
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(urllib.request.Request(url, headers={"authorization": f"Bearer {KEY}"}), timeout=5).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(f"{command[0]} ended:\n{log.read()[-3000:].decode()}") from None
                time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def openhearth(backend: str) -> Iterator[list[Gateway]]:
    """One server, two models: the fake engine behind its unix socket, and the backend as an upstream."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "openhearth.toml").write_text(
            'default_model = "fake:chat"\nembedding_model = "fake:chat"\n[engines]\nslots = 64\nqueue = 1000\n'
            '[[models]]\nname = "fake:chat"\nengine = "fake"\ntask = "chat"\noptions = { directives = "[[tokens:100]]" }\n'
            f'[[upstreams]]\nname = "bench"\nbase_url = "{backend}/v1"\nmodels = ["bench"]\nslots = 128\n'
        )
        command = [sys.executable, "-m", "openhearth", "serve", "--port", str(port), "--data-dir", folder]
        with running(command, f"http://127.0.0.1:{port}/readyz", {"OPENHEARTH_API_KEY": KEY}) as process:
            root = f"http://127.0.0.1:{port}"
            yield [
                Gateway("openhearth, fake engine", root, "fake:chat", process),
                Gateway("openhearth, upstream", root, "bench/bench", process),
            ]


@contextmanager
def litellm(executable: str, backend: str) -> Iterator[Gateway]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(
            "model_list:\n  - model_name: bench\n    litellm_params:\n      model: openai/bench\n"
            f"      api_base: {backend}/v1\n      api_key: none\n"
            f"general_settings:\n  master_key: {KEY}\nlitellm_settings:\n  telemetry: false\n"
        )
        command = [executable, "--config", str(config), "--port", str(port), "--host", "127.0.0.1", "--num_workers", "1"]
        environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        with running(command, f"http://127.0.0.1:{port}/health/liveliness", environ) as process:
            yield Gateway("litellm proxy", f"http://127.0.0.1:{port}", "bench", process)


def load(root: str, body: dict[str, object], *extra: str) -> dict[str, float]:
    command = [sys.executable, str(HERE / "load.py"), f"{root}/v1/chat/completions", "--key", KEY, "--body", json.dumps(body), *extra]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def body(model: str, stream: bool) -> dict[str, object]:
    return {"model": model, "messages": MESSAGES, "stream": stream}


def measure(gateway: Gateway, stream: bool, seconds: float) -> dict[str, float]:
    before = gateway.cpu_s()
    result = load(gateway.root, body(gateway.model, stream), "--seconds", str(seconds), "--connections", "64")
    if result["errors"] or not result["requests"]:
        raise SystemExit(f"{gateway.name}: {result}")
    return {"rps": result["rps"], "cpu_ms": (gateway.cpu_s() - before) / result["requests"] * 1000}


def added(gateway: Gateway, direct: dict[str, float], seconds: float) -> dict[str, float]:
    through = load(gateway.root, body(gateway.model, False), "--rate", "100", "--seconds", str(seconds))
    return {name: through[name] - direct[name] for name in ("p50_ms", "p99_ms")}


def medians(take: Callable[[], dict[str, float]], rounds: int) -> dict[str, float]:
    taken = [take() for _ in range(rounds)]
    return {name: statistics.median(one[name] for one in taken) for name in taken[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", help="the litellm executable of another environment")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack:
        port = free_port()
        backend = f"http://127.0.0.1:{port}"
        stack.enter_context(running([sys.executable, str(HERE / "backend.py"), str(port)], f"{backend}/v1/models"))
        gateways = stack.enter_context(openhearth(backend))
        if given.litellm:
            gateways.append(stack.enter_context(litellm(given.litellm, backend)))
        for gateway in gateways:
            load(gateway.root, body(gateway.model, True), "--seconds", "2", "--connections", "4")
        print("| front | plain req/s | CPU ms | streams/s | CPU ms | added p50 ms | added p99 ms |\n|---|---|---|---|---|---|---|")
        rows = []
        for gateway in gateways:
            plain = medians(lambda g=gateway: measure(g, False, given.seconds), given.rounds)
            streams = medians(lambda g=gateway: measure(g, True, given.seconds), given.rounds)
            direct = load(backend, body("bench", False), "--rate", "100", "--seconds", str(given.seconds))
            delay = added(gateway, direct, given.seconds)
            rows.append((plain, streams))
            print(
                f"| {gateway.name} | {plain['rps']:.0f} | {plain['cpu_ms']:.2f} | {streams['rps']:.0f} | {streams['cpu_ms']:.2f} "
                f"| {delay['p50_ms']:.2f} | {delay['p99_ms']:.2f} |",
                flush=True,
            )
        if given.litellm:
            peer = rows[-1]
            for gateway, (plain, streams) in zip(gateways[:-1], rows[:-1], strict=True):
                print(
                    f"{gateway.name} against litellm, per core: plain {peer[0]['cpu_ms'] / plain['cpu_ms']:.0f}x, "
                    f"streaming {peer[1]['cpu_ms'] / streams['cpu_ms']:.0f}x"
                )


if __name__ == "__main__":
    main()
