"""The same GGUF through us and through llama.cpp's own server, in one run.

    python benchmarks/whole.py MODEL.gguf [--streams 1 4 8 16] [--rounds 5] [--tokens 64] [--pairs 40]

Both run the same build of llama.cpp (xllamacpp) with the same slots, context and threads; llama.cpp's server listens on a TCP port, as
its users run it. Each round sends N different prompts at once to one, then to the other. Reported: tokens per second, time to first
token, medians, and the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from front import KEY, free_port, running

LLAMA = """
import sys, time
from xllamacpp import CommonParams, Server
path, port, slots, context, threads = sys.argv[1], *map(int, sys.argv[2:])
p = CommonParams()
p.model.path, p.hostnames, p.port, p.api_keys = path, ["127.0.0.1"], port, [{key!r}]
p.kv_unified = False
p.n_parallel, p.n_ctx, p.cpuparams.n_threads, p.cpuparams_batch.n_threads = slots, context * slots, threads, threads
p.warmup, p.ui, p.verbosity = False, False, -1
server = Server(p)
time.sleep(1e9)
"""


@dataclass(frozen=True)
class Taken:
    """One round: tokens per second of all streams together, and the streams' first tokens in milliseconds."""

    tokens_per_s: float
    first_ms: list[float]


async def one(session: aiohttp.ClientSession, url: str, model: str, prompt: str, tokens: int) -> tuple[float, int]:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "logit_bias": {"2": -100, "0": -100},
    }
    started = time.perf_counter()
    first, count = 0.0, 0
    async with session.post(url, json=body, headers={"authorization": f"Bearer {KEY}"}) as response:
        response.raise_for_status()
        async for line in response.content:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if not first and any(choice["delta"].get("content") for choice in event["choices"]):
                first = time.perf_counter() - started
            if event.get("usage"):
                count = event["usage"]["completion_tokens"]
    return first, count


async def take(root: str, model: str, streams: int, tokens: int, salt: int) -> Taken:
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        started = time.perf_counter()
        prompts = [f"Round {salt}, question {n}: tell a long story about river number {n + salt}." for n in range(streams)]
        taken = await asyncio.gather(*(one(session, f"{root}/v1/chat/completions", model, prompt, tokens) for prompt in prompts))
        elapsed = time.perf_counter() - started
    return Taken(sum(count for _, count in taken) / elapsed, [first * 1000 for first, _ in taken])


def alone(root: str, peer: str, pairs: int) -> tuple[float, float, float]:
    """First tokens of single requests, ours and theirs by turns: median milliseconds of each, and of the differences within a pair."""

    def first(base: str, number: int) -> float:
        return asyncio.run(take(base, "bench", 1, 1, 10_000 + number)).first_ms[0]

    taken = []
    for number in range(pairs):
        order = (root, peer) if number % 2 else (peer, root)
        both = {base: first(base, number) for base in order}
        taken.append((both[root], both[peer]))
    ours, theirs = zip(*taken, strict=True)
    return statistics.median(ours), statistics.median(theirs), statistics.median(a - b for a, b in taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=40, help="of single requests for one token")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    given = parser.parse_args()
    slots, context = max(given.streams), 1024
    with ExitStack() as stack:
        port = free_port()
        root = f"http://127.0.0.1:{port}"
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        Path(folder, "openhearth.toml").write_text(
            f'default_model = "bench"\npreload = ["bench"]\n[engines]\nslots = {slots}\ncontext = {context}\nthreads = {given.threads}\n'
            f'[[models]]\nname = "bench"\nengine = "llama"\ntask = "chat"\npath = "{given.model.resolve()}"\n'
        )
        command = [sys.executable, "-m", "openhearth", "serve", "--port", str(port), "--data-dir", folder]
        stack.enter_context(running(command, f"{root}/readyz", {"OPENHEARTH_API_KEY": KEY}))
        peer_port = free_port()
        peer = f"http://127.0.0.1:{peer_port}"
        arguments = [str(given.model), str(peer_port), str(slots), str(context), str(given.threads)]
        stack.enter_context(running([sys.executable, "-c", LLAMA.format(key=KEY), *arguments], f"{peer}/v1/models"))
        for base in (root, peer):
            asyncio.run(take(base, "bench", 2, 8, 999))
        ours_ms, theirs_ms, later_ms = alone(root, peer, given.pairs)
        print(
            f"First token alone, {given.pairs} pairs: ours {ours_ms:.1f} ms, llama.cpp {theirs_ms:.1f} ms, difference {later_ms:+.1f} ms\n"
        )
        print("| streams | ours tok/s | llama.cpp tok/s | ratio | ours first ms | llama.cpp first ms | difference ms |")
        print("|---|---|---|---|---|---|---|")
        for streams in given.streams:
            pairs = []
            for number in range(given.rounds):
                order = (root, peer) if number % 2 else (peer, root)
                taken = {base: asyncio.run(take(base, "bench", streams, given.tokens, number * 100 + streams)) for base in order}
                pairs.append((taken[root], taken[peer]))
            ours, theirs = ([pair[n] for pair in pairs] for n in (0, 1))
            ratio = statistics.median(a.tokens_per_s / b.tokens_per_s for a, b in pairs)
            firsts = [statistics.median(statistics.median(t.first_ms) for t in side) for side in (ours, theirs)]
            later = statistics.median(statistics.median(a.first_ms) - statistics.median(b.first_ms) for a, b in pairs)
            speeds = [statistics.median(t.tokens_per_s for t in side) for side in (ours, theirs)]
            print(
                f"| {streams} | {speeds[0]:.1f} | {speeds[1]:.1f} | {ratio:.3f} | {firsts[0]:.1f} | {firsts[1]:.1f} | {later:+.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
