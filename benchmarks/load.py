"""A load generator that costs little: raw HTTP/1.1 over kept-alive connections, as JSON on stdout.

    python benchmarks/load.py http://127.0.0.1:8000/v1/chat/completions --key sk-... --body '{"model": ...}' --connections 64 --seconds 5
    python benchmarks/load.py ... --rate 100 --seconds 20        open loop: one request every 10 ms, whatever the answers do

Prints requests, errors, requests per second, and the latencies' and first bytes' percentiles in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Outcome:
    """What was seen. Times in seconds."""

    latencies: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    errors: int = 0
    elapsed: float = 0.0

    def summary(self) -> dict[str, float]:
        """Milliseconds, and requests per second."""
        return {
            "requests": len(self.latencies),
            "errors": self.errors,
            "rps": len(self.latencies) / self.elapsed if self.elapsed else 0.0,
            "p50_ms": percentile(self.latencies, 50),
            "p99_ms": percentile(self.latencies, 99),
            "first_p50_ms": percentile(self.first_bytes, 50),
        }


def percentile(values: list[float], percent: int) -> float:
    """In milliseconds; 0 if there is nothing."""
    if len(values) < 2:
        return values[0] * 1000 if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] * 1000


class Connection:
    """One kept-alive connection; opened again after an error."""

    def __init__(self, url: str, key: str, body: bytes) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._request = (
            f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, outcome: Outcome, due: float | None = None) -> None:
        """One request. `due`: when it should have been sent (open loop), so that waiting for a connection counts."""
        started = due if due is not None else time.perf_counter()
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port, limit=2**20)
            reader, writer = self._streams
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            first = time.perf_counter()
            await _rest(reader, head)
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(head[:40])
        except (OSError, asyncio.IncompleteReadError):
            outcome.errors += 1
            self.close()
            return
        outcome.first_bytes.append(first - started)
        outcome.latencies.append(time.perf_counter() - started)

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None


async def _rest(reader: asyncio.StreamReader, head: bytes) -> None:
    lowered = head.lower()
    at = lowered.find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(lowered[at + 15 : lowered.index(b"\r\n", at)]))
        return
    tail = b""
    while not tail.endswith(b"0\r\n\r\n"):
        piece = await reader.read(2**18)
        if not piece:
            raise ConnectionError("the stream broke off")
        tail = (tail + piece)[-5:]


async def closed_loop(url: str, key: str, body: bytes, connections: int, seconds: float) -> Outcome:
    """Each connection sends its next request when the last is answered."""
    outcome = Outcome()
    until = time.perf_counter() + seconds

    async def work() -> None:
        connection = Connection(url, key, body)
        while time.perf_counter() < until:
            await connection.send(outcome)
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    outcome.elapsed = time.perf_counter() - started
    return outcome


async def open_loop(url: str, key: str, body: bytes, connections: int, seconds: float, rate: float) -> Outcome:
    """Requests are sent at fixed times on free connections."""
    outcome = Outcome()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(Connection(url, key, body))

    async def one(due: float) -> None:
        connection = await free.get()
        await connection.send(outcome, due)
        free.put_nowait(connection)

    started = time.perf_counter()
    tasks = []
    for number in range(int(rate * seconds)):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        # Measured from the moment it really goes out: the generator's own lateness is not the server's.
        tasks.append(asyncio.create_task(one(time.perf_counter())))
    await asyncio.gather(*tasks)
    outcome.elapsed = time.perf_counter() - started
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--key", default="none")
    parser.add_argument("--body", required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float)
    given = parser.parse_args()
    body = given.body.encode()
    if given.rate:
        outcome = asyncio.run(open_loop(given.url, given.key, body, given.connections, given.seconds, given.rate))
    else:
        outcome = asyncio.run(closed_loop(given.url, given.key, body, given.connections, given.seconds))
    print(json.dumps(outcome.summary()))


if __name__ == "__main__":
    main()
