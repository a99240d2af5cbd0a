"""`/`, `/healthz`, `/readyz`, `/metrics`, `/openapi.json`, `/openhearth/engines`: whether it lives, can answer, and what it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from openhearth import __version__
from openhearth.engines.pool import EngineStatus, Pool
from openhearth.errors import EngineUnavailable
from openhearth.store.database import Database
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
LABELS_KEPT = 512


class Health(msgspec.Struct, frozen=True):
    """A probe's answer."""

    status: str
    version: str = __version__


class Welcome(msgspec.Struct, frozen=True):
    """What a browser, or somebody who wonders, gets at `/`."""

    name: str = "Open Hearth"
    message: str = (
        "This server answers OpenAI's API under /v1. All but /healthz and /readyz wants a key: Authorization: Bearer YOUR_KEY. "
        "With one, /openapi.json tells all endpoints."
    )


class EngineList(msgspec.Struct, frozen=True):
    """What `openhearth ps` shows."""

    data: list[EngineStatus]
    object: str = "list"


class RequestMetrics:
    """Counts every finished request by route, method and status; the route is the pattern, never the client's own path."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route", "status")
        self._count = Counter("openhearth_requests", "Finished requests; 499: the client left.", labels, registry=registry)
        self._seconds = Histogram("openhearth_request_seconds", "Request to last byte.", ("route",), buckets=_SECONDS, registry=registry)
        # To find a labelled counter costs more than to count.
        self._count_of = lru_cache(LABELS_KEPT)(self._count.labels)
        self._seconds_of = lru_cache(LABELS_KEPT)(self._seconds.labels)

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        endpoint = scope.get("endpoint")
        route, method = (endpoint.path, endpoint.method) if endpoint else ("none", "none")
        self._count_of(method, route, str(status)).inc()
        self._seconds_of(route).observe(seconds)


class EngineMetrics(Collector):
    """The pool's state at the moment of scraping."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        for name in ("slots", "in_use", "waiting", "memory_bytes", "restarts"):
            gauge = GaugeMetricFamily(f"openhearth_engine_{name}", f"Engine: {name}.", labels=("model",))
            for status in self._pool.status():
                gauge.add_metric([status.id], getattr(status, name))
            yield gauge


def endpoints(database: Database, pool: Pool, registry: CollectorRegistry, openapi: Callable[[], dict[str, Any]]) -> list[Endpoint]:
    """This module's rows of the route table. `openapi` is called when asked: it needs the whole table."""

    async def root(_call: Call) -> Reply:
        return json_reply(Welcome())

    async def healthz(_call: Call) -> Reply:
        return json_reply(Health("ok"))

    async def readyz(_call: Call) -> Reply:
        if pool.closed:
            raise EngineUnavailable("The server is stopping.")
        await database.ping()
        return json_reply(Health("ready"))

    async def metrics(_call: Call) -> Reply:
        return Reply(generate_latest(registry), content_type=b"text/plain; version=0.0.4; charset=utf-8")

    async def openapi_json(_call: Call) -> Reply:
        return json_reply(openapi())

    async def engines(_call: Call) -> Reply:
        return json_reply(EngineList(pool.status()))

    return [
        Endpoint("GET", "/", root, "What this is.", response=Welcome, tag="Health", public=True),
        Endpoint("GET", "/healthz", healthz, "The process answers.", response=Health, tag="Health", public=True),
        Endpoint("GET", "/readyz", readyz, "Requests can be answered.", response=Health, tag="Health", public=True),
        Endpoint("GET", "/metrics", metrics, "Prometheus metrics.", tag="Health", permission="api.engines.read"),
        Endpoint("GET", "/openapi.json", openapi_json, "This document.", tag="Health", permission="api.model.read"),
        Endpoint(
            "GET", "/openhearth/engines", engines, "The engines that run.", response=EngineList, tag="Health", permission="api.engines.read"
        ),
    ]
