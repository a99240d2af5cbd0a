"""What the front costs: Open Hearth and the LiteLLM proxy before the same backend, in one run.

    python -m venv /tmp/litellm && /tmp/litellm/bin/pip install 'litellm[proxy]'
    python benchmarks/front.py --litellm /tmp/litellm/bin/litellm [--seconds 6] [--rounds 3]

The backend (`benchmarks/backend.py`) answers at once with 100 tokens. Every gateway checks a key and meters. Reported: requests and
streams per second at 64 connections, CPU of the gateway's own processes per request (without backend and engines), what it adds to
p50 and p99 at 100 requests per second (at 40% of what it can, if that is less), and the ratios. Every round measures all gateways, one
after the other; medians of the rounds, ratios within a round. "Per core" means one over the CPU time of a request.
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
RATE = 100.0
LITELLM_ENVIRON = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
MESSAGES = [{"role": "user", "content": "Say a hundred words."}]


@dataclass
class Gateway:
    """A server under load."""

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
            except urllib.error.HTTPError as error:
                if error.code != 503:  # that is: not yet
                    break
                time.sleep(0.1)
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


def litellm_config(backend: str, name: str) -> str:
    """One model, one key, nothing else on."""
    return (
        f"model_list:\n  - model_name: {name}\n    litellm_params:\n      model: openai/bench\n"
        f"      api_base: {backend}/v1\n      api_key: none\n"
        f"general_settings:\n  master_key: {KEY}\nlitellm_settings:\n  telemetry: false\n"
    )


def litellm_command(executable: str, config: Path, port: int) -> list[str]:
    return [executable, "--config", str(config), "--port", str(port), "--host", "127.0.0.1", "--num_workers", "1"]


@contextmanager
def litellm(executable: str, backend: str) -> Iterator[Gateway]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(litellm_config(backend, "bench"))
        command = litellm_command(executable, config, port)
        with running(command, f"http://127.0.0.1:{port}/health/liveliness", LITELLM_ENVIRON) as process:
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


@dataclass(frozen=True)
class Round:
    """One gateway in one round; the others' stand beside it. CPU in milliseconds a request, latencies in milliseconds."""

    plain: dict[str, float]
    streams: dict[str, float]
    rate: float
    added: dict[str, float]


def take(gateway: Gateway, backend: str, seconds: float) -> Round:
    plain, streams = (measure(gateway, stream, seconds) for stream in (False, True))
    # A gateway that can't keep up would be measured for its queue.
    rate = min(RATE, float(int(plain["rps"] * 0.4)) or 1.0)
    direct, through = (load(root, body(model, False), "--rate", str(rate), "--seconds", str(seconds)) for root, model in (
        (backend, "bench"),
        (gateway.root, gateway.model),
    ))  # fmt: skip
    return Round(plain, streams, rate, {name: through[name] - direct[name] for name in ("p50_ms", "p99_ms")})


def row(gateway: Gateway, rounds: list[Round]) -> str:
    def middle(of: Callable[[Round], float]) -> float:
        return statistics.median(of(one) for one in rounds)

    # What the fake engine itself takes is not known, so nothing is told of what the front adds to it.
    known = not gateway.model.startswith("fake")
    added = [f"{middle(lambda one, name=name: one.added[name]):.2f}" if known else "-" for name in ("p50_ms", "p99_ms")]
    return (
        f"| {gateway.name} | {middle(lambda one: one.plain['rps']):.0f} | {middle(lambda one: one.plain['cpu_ms']):.3f} "
        f"| {middle(lambda one: one.streams['rps']):.0f} | {middle(lambda one: one.streams['cpu_ms']):.3f} "
        f"| {added[0]} | {added[1]} | {middle(lambda one: one.rate):.0f} |"
    )


def ratios(ours: list[Round], peer: list[Round]) -> str:
    pairs = list(zip(ours, peer, strict=True))
    plain = statistics.median(b.plain["cpu_ms"] / a.plain["cpu_ms"] for a, b in pairs)
    streams = statistics.median(b.streams["cpu_ms"] / a.streams["cpu_ms"] for a, b in pairs)
    return f"plain {plain:.1f}x, streaming {streams:.1f}x"


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
        rounds: list[list[Round]] = [[] for _ in gateways]
        for _ in range(given.rounds):
            for number, gateway in enumerate(gateways):
                rounds[number].append(take(gateway, backend, given.seconds))
        print("| front | plain req/s | CPU ms | streams/s | CPU ms | added p50 ms | added p99 ms | at req/s |")
        print("|---|---|---|---|---|---|---|---|")
        for gateway, taken in zip(gateways, rounds, strict=True):
            print(row(gateway, taken))
        if given.litellm:
            for gateway, taken in zip(gateways[:-1], rounds[:-1], strict=True):
                print(f"{gateway.name} against litellm, per core: {ratios(taken, rounds[-1])}")


if __name__ == "__main__":
    main()
