"""Endpoints behind the real HTTP server: bodies within bounds, clients that leave, errors before and inside streams."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any

import aiohttp
import msgspec
import pytest
from starlette.types import ASGIApp, Scope

from openhearth.errors import EngineFailed, InvalidRequest
from openhearth.web.endpoint import Call, Endpoint, Reply, Stream, json_reply
from openhearth.web.middleware import RequestContext
from openhearth.web.router import make_router
from openhearth.wire import sse
from tests.support.asgi import Served, served

LIMIT = 10_000
BODY_TIMEOUT_S = 0.3


class Greeting(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]


class Probe:
    """Endpoints that remember what happened to them."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.closed = asyncio.Event()
        self.seen: list[tuple[str, int]] = []

    async def greet(self, call: Call) -> Reply:
        return json_reply({"hello": call.json(Greeting).name})

    async def wait(self, _call: Call) -> Reply:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        raise AssertionError

    async def endless(self, _call: Call) -> Stream:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield sse.event(b'{"n":1}')
                    await asyncio.sleep(0.01)
            finally:
                self.closed.set()

        return Stream(chunks())

    async def fail_early(self, _call: Call) -> Stream:
        async def chunks() -> AsyncIterator[bytes]:
            raise InvalidRequest("Not like this.", param="prompt")
            yield b""

        return Stream(chunks())

    async def fail_late(self, _call: Call) -> Stream:
        async def chunks() -> AsyncIterator[bytes]:
            yield sse.event(b'{"n":1}')
            raise EngineFailed("The engine broke off.")

        return Stream(chunks())

    async def fail_badly(self, _call: Call) -> Reply:
        raise ValueError("a secret prompt")

    def app(self) -> ASGIApp:
        table = [
            Endpoint("POST", "/greet", self.greet, "", request=Greeting),
            Endpoint("GET", "/wait", self.wait, ""),
            Endpoint("GET", "/endless", self.endless, "", streams=True),
            Endpoint("GET", "/early", self.fail_early, "", streams=True),
            Endpoint("GET", "/late", self.fail_late, "", streams=True),
            Endpoint("GET", "/badly", self.fail_badly, ""),
        ]
        return RequestContext(make_router(table, max_body=LIMIT, body_timeout_s=BODY_TIMEOUT_S), self.observe)

    def observe(self, scope: Scope, status: int, _seconds: float) -> None:
        self.seen.append((scope["path"], status))


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
async def house(probe: Probe) -> AsyncIterator[Served]:
    async with served(probe.app()) as running:
        yield running


async def error_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    body = await response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])


async def test_a_reply_carries_openai_headers(house: Served) -> None:
    async with house.session.post("/greet", data=b'{"name": "Ada"}', headers={"x-client-request-id": "mine-1"}) as response:
        assert await response.json() == {"hello": "Ada"}
        assert response.headers["x-request-id"].startswith("req_")
        assert int(response.headers["openai-processing-ms"]) >= 1
        assert response.headers["openai-version"] == "2020-10-01"
        assert response.headers["x-client-request-id"] == "mine-1"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, "invalid_json"),
        (b"{", None, "invalid_json"),
        (b'{"name": "\xff"}', None, "invalid_json"),
        (b'{"name": "a\\u0000b"}', None, "invalid_text"),
        (b'{"name": "\\ud800"}', None, "invalid_text"),
        (b"[" * 5000 + b"]" * 5000, None, "invalid_json"),
        (b'{"name": 1}', "name", "invalid_value"),
        (b'{"name": ""}', "name", "invalid_value"),
        (b"{}", "name", "missing_required_parameter"),
        (b'{"name": "a", "nmae": 1}', "nmae", "unknown_parameter"),
    ],
)
async def test_bad_bodies_name_the_field(house: Served, body: bytes, param: str | None, code: str) -> None:
    async with house.session.post("/greet", data=body) as response:
        error = await error_of(response)
        assert (response.status, error["type"], error["param"], error["code"]) == (400, "invalid_request_error", param, code)


async def test_too_large_bodies_are_refused_declared_or_not(house: Served) -> None:
    async def chunked() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1000

    async with house.session.post("/greet", data=b" " * (LIMIT + 1)) as response:
        assert (response.status, (await error_of(response))["code"]) == (413, "payload_too_large")
    async with house.session.post("/greet", data=chunked()) as response:
        assert response.status == 413
    async with house.session.post("/greet", data=b'{"name": "next"}') as response:
        assert response.status == 200


async def test_a_slow_body_times_out(house: Served) -> None:
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(b"POST /greet HTTP/1.1\r\nhost: house\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    answer = await asyncio.wait_for(reader.readuntil(b"}}"), 5)
    assert answer.startswith(b"HTTP/1.1 408")
    assert json.loads(answer.split(b"\r\n\r\n")[1])["error"]["code"] == "request_timeout"
    writer.close()


async def test_compressed_bodies_are_refused(house: Served) -> None:
    async with house.session.post("/greet", data=b"x", headers={"content-encoding": "gzip"}) as response:
        assert (await error_of(response))["message"].startswith("Compressed")


async def test_unknown_paths_and_methods(house: Served) -> None:
    async with house.session.get("/v2/nothing") as response:
        assert (response.status, (await error_of(response))["type"]) == (404, "invalid_request_error")
    async with house.session.delete("/greet") as response:
        await error_of(response)
        assert (response.status, response.headers["allow"]) == (405, "POST")


async def test_a_client_that_leaves_cancels_the_handler(house: Served, probe: Probe) -> None:
    with pytest.raises(TimeoutError):
        await house.session.get("/wait", timeout=aiohttp.ClientTimeout(total=0.2))
    await asyncio.wait_for(probe.cancelled.wait(), 1)
    await asyncio.sleep(0.05)
    assert probe.seen == [("/wait", 499)]


async def test_a_client_that_leaves_closes_the_stream(house: Served, probe: Probe) -> None:
    async with house.session.get("/endless") as response:
        await response.content.readline()
    await asyncio.wait_for(probe.closed.wait(), 1)


async def test_an_error_before_the_first_event_is_a_plain_reply(house: Served) -> None:
    async with house.session.get("/early") as response:
        assert (response.status, (await error_of(response))["param"]) == (400, "prompt")


async def test_an_error_inside_a_stream_is_an_event(house: Served) -> None:
    async with house.session.get("/late") as response:
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        first, second = (await response.read()).strip().split(b"\n\n")
    assert first == b'data: {"n":1}'
    assert json.loads(second.removeprefix(b"data: "))["error"]["code"] == "engine_failed"


async def test_an_unforeseen_error_tells_and_logs_no_secret(house: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with house.session.get("/badly") as response:
            text = await response.text()
    assert response.status == 500
    assert json.loads(text)["error"]["type"] == "server_error"
    assert "secret" not in text + caplog.text
    assert "ValueError" in caplog.text


@pytest.mark.parametrize("body", [b"ZZZ\r\nx\r\n0\r\n\r\n", b"5\r\n{}\r\n0\r\n\r\n", b"-1\r\n\r\n", b"fffffffffffffffff\r\nx"])
async def test_garbage_in_a_chunked_body_is_answered(house: Served, body: bytes) -> None:
    answer = await said(house, b"POST /greet HTTP/1.1\r\nhost: house\r\ntransfer-encoding: chunked\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"connection: close" in answer.lower()
    assert json.loads(answer.split(b"\r\n\r\n")[1])["error"]["type"] == "invalid_request_error"
    async with house.session.post("/greet", data=b'{"name": "next"}') as response:
        assert response.status == 200


async def said(house: Served, request: bytes) -> bytes:
    """All that the server answers to these bytes, up to its closing of the connection."""
    reader, writer = await asyncio.open_unix_connection(str(house.socket))
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


@pytest.mark.parametrize("line", [b"GET /" + b"a" * 60_000, b"G" * 20_000 + b" /greet", b"GET /greet/" + b"%0a" * 5_000])
async def test_what_is_absurdly_long_is_not_repeated(house: Served, line: bytes) -> None:
    answer = await said(house, line + b" HTTP/1.1\r\nhost: house\r\nconnection: close\r\n\r\n")
    assert answer.split(b" ")[1] in (b"404", b"405")
    assert len(answer) < 2_000
    assert json.loads(answer.split(b"\r\n\r\n")[1])["error"]["message"]


@pytest.mark.parametrize("length_first", [True, False])
async def test_a_body_of_two_lengths_ends_the_connection(house: Served, length_first: bool) -> None:
    """Where a proxy counts otherwise than we do, what follows would be taken for another client's request."""
    lengths = [b"content-length: 4\r\n", b"transfer-encoding: chunked\r\n"]
    head = b"POST /greet HTTP/1.1\r\nhost: house\r\n" + b"".join(lengths if length_first else reversed(lengths)) + b"\r\n"
    smuggled = b"GET /greet HTTP/1.1\r\nhost: house\r\nconnection: close\r\n\r\n"
    answer = await said(house, head + b'f\r\n{"name": "Ada"}\r\n0\r\n\r\n' + smuggled)
    assert answer.count(b"HTTP/1.1 ") == 1
