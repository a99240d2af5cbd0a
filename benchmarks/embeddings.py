"""`/v1/embeddings` against onnxruntime called one sentence at a time, in one run.

    python benchmarks/embeddings.py FOLDER [--clients 1 8 64] [--rounds 5] [--seconds 2] [--threads N]

FOLDER holds model.onnx, tokenizer.json and config.json, and model.safetensors if that is to be measured too. The baseline is a loop in one
process without any server: tokenise, run, take the mean, scale to length 1; with the same number of threads. Each round measures the
baseline and then the server with every number of clients, each of which sends one sentence after the other; then one client that sends
256 sentences in each request. Reported: sentences per second, the median ratio to the same round's baseline, latencies.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from front import KEY, free_port, running

MANY = 256
SENTENCES = [
    f"The {thing} {does} near the {place} on day {day}, and nobody knew {'what to say about it ' * (day % 3)}until the evening."
    for day, (thing, does, place) in enumerate(
        itertools.product(
            ("cat", "ship", "model", "bank"), ("sleeps", "runs", "fails"), ("river", "server", "hill", "castle", "old bridge")
        )
    )
]


def baseline(folder: Path, threads: int) -> Callable[[str], list[float]]:
    """One sentence -> its vector, as a script would do it."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    inputs = {given.name for given in session.get_inputs()}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()

    def embed(sentence: str) -> list[float]:
        ids = np.array([tokenizer.encode(sentence).ids])
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = session.run(None, {name: feed[name] for name in inputs})[0][0].mean(axis=0)
        found: list[float] = (mean / np.linalg.norm(mean)).tolist()
        return found

    return embed


def in_a_loop(embed: Callable[[str], list[float]], seconds: float) -> float:
    """Sentences per second."""
    started = time.perf_counter()
    done = 0
    for sentence in itertools.cycle(SENTENCES):
        embed(sentence)
        done += 1
        if time.perf_counter() - started > seconds:
            break
    return done / (time.perf_counter() - started)


async def from_clients(url: str, model: str, clients: int, seconds: float, *, batch: int = 1) -> tuple[float, list[float]]:
    """Sentences per second of all clients together, and the requests' milliseconds."""
    latencies: list[float] = []
    sentences = itertools.cycle(SENTENCES)
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {KEY}"}, connector=aiohttp.TCPConnector(limit=0)) as session:
        started = time.perf_counter()

        async def client() -> None:
            while time.perf_counter() - started < seconds:
                begun = time.perf_counter()
                given = list(itertools.islice(sentences, batch))
                body = {"model": model, "input": given if batch > 1 else given[0], "encoding_format": "base64"}
                async with session.post(f"{url}/v1/embeddings", json=body) as reply:
                    assert reply.status == 200, await reply.text()
                    await reply.read()
                latencies.append((time.perf_counter() - begun) * 1000)

        await asyncio.gather(*(client() for _ in range(clients)))
        return len(latencies) * batch / (time.perf_counter() - started), latencies


def configuration(folder: Path, threads: int) -> tuple[str, list[str]]:
    """The server's settings, and its models: one for each kind of weights in the folder."""
    kinds = [kind for kind in ("onnx", "safetensors") if (folder / f"model.{kind}").is_file()]
    tables = [
        f'[[models]]\nname = "{kind}"\nengine = "embedding"\ntask = "embedding"\n'
        f'path = {json.dumps(str(folder.resolve()))}\noptions = {{ weights = "{kind}" }}\n'
        for kind in kinds
    ]
    return f"preload = []\n[engines]\nthreads = {threads}\n" + "".join(tables), kinds


@contextmanager
def served(data: Path, config: str) -> Iterator[str]:
    """Our server with these settings; its address."""
    (data / "openhearth.toml").write_text(config, encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "openhearth", "serve", "--port", str(port), "--data-dir", str(data)]
    with running(command, f"http://127.0.0.1:{port}/readyz", {"OPENHEARTH_API_KEY": KEY}):
        yield f"http://127.0.0.1:{port}"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    embed = baseline(args.folder, args.threads)
    config, kinds = configuration(args.folder, args.threads)
    cases = [(kind, clients, batch) for kind in kinds for clients, batch in [*((n, 1) for n in args.clients), (1, MANY)]]
    alone: list[float] = []
    found: dict[tuple[str, int, int], list[tuple[float, float, list[float]]]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory() as data, served(Path(data), config) as url:
        for _ in range(args.rounds):
            for case in cases:
                kind, clients, batch = case
                alone.append(in_a_loop(embed, args.seconds))
                rate, latencies = asyncio.run(from_clients(url, kind, clients, args.seconds, batch=batch))
                found[case].append((rate, rate / alone[-1], latencies))
    print(f"one sentence at a time, no server: {statistics.median(alone):.0f}/s with {args.threads} threads")
    print(f"{'weights':12} {'clients':>7} {'sentences':>9} {'per second':>10} {'ratio':>6} {'p50 ms':>8} {'p99 ms':>8}")
    for (kind, clients, batch), rounds in found.items():
        rate, ratio = (statistics.median(one[at] for one in rounds) for at in (0, 1))
        latencies = [value for one in rounds for value in one[2]]
        p50, p99 = (statistics.quantiles(latencies, n=100, method="inclusive")[at - 1] for at in (50, 99))
        print(f"{kind:12} {clients:7} {batch:9} {rate:10.0f} {ratio:6.2f} {p50:8.1f} {p99:8.1f}")


if __name__ == "__main__":
    main()
