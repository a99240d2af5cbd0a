"""The upstream engine's client against servers that misbehave: what is tried again, what never, and which error comes of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, aclosing
from email.utils import formatdate
from typing import Any

import pytest

from openhearth.engines.contract import EngineSpec
from openhearth.engines.upstream import UpstreamLauncher
from openhearth.engines.upstream.launcher import RunningUpstream
from openhearth.errors import (
    ContextLengthExceeded,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    InvalidRequest,
    ModelNotFound,
    OpenHearthError,
    RateLimited,
)
from tests.support.scripted import Scripted, Step, broken, endless, events, refuse, reply, scripted, silence, text

KEY = "sk-upstream-0123456789"
PATH = "/v1/chat/completions"
GOOD = {"choices": [{"message": {"content": "hello"}}]}
TOKEN = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
PAYLOAD = TOKEN[6:-2]


class Upstreams:
    """Starts scripted servers, and engines on them; both end with the test."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def serve(self, *script: Step, models: Step | None = None) -> Scripted:
        return await self._stack.enter_async_context(scripted(*script, models=models))

    async def engine(self, server: Scripted, **options: Any) -> RunningUpstream:
        spec = EngineSpec("gpu/m", "upstream", options={"base_url": server.base_url, "api_key": KEY, "model": "m", **options})
        running = await UpstreamLauncher().start(spec)
        self._stack.push_async_callback(running.stop)
        return running

    async def both(self, *script: Step, **options: Any) -> tuple[Scripted, RunningUpstream]:
        server = await self.serve(*script)
        return server, await self.engine(server, **options)


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with AsyncExitStack() as stack:
        yield Upstreams(stack)


async def streamed(engine: RunningUpstream) -> list[bytes]:
    async with aclosing(engine.client.stream(PATH, b'{"stream":true}')) as bursts:
        return [payload async for burst in bursts for payload in burst]


async def error_of(work: Awaitable[object]) -> OpenHearthError:
    with pytest.raises(OpenHearthError) as raised:
        await work
    assert KEY not in raised.value.message
    assert not isinstance(raised.value, EngineTimeout), "the pool would replace the engine"
    return raised.value


async def left(server: Scripted, count: int) -> None:
    """Wait until so many of its requests were broken off by us."""
    async with asyncio.timeout(1):
        while server.left < count:
            await asyncio.sleep(0.01)


async def test_requests_go_on_as_they_are_with_the_key(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(reply(GOOD), slots=7)
    assert json.loads(await engine.client.post(PATH, b'{"model": "m"}')) == GOOD
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/v1/chat/completions", b'{"model": "m"}')
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert (engine.properties.slots, engine.properties.context, engine.alive, engine.resident_bytes()) == (7, None, True, 0)
    assert engine.properties.capabilities == {"chat", "completion"}


async def test_without_a_key_no_key_is_sent(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(reply(GOOD), api_key=None)
    await engine.client.post(PATH, b"{}")
    assert "authorization" not in server.asked[0].headers


async def test_an_engines_own_paths_are_not_asked_for(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(reply(GOOD))
    assert isinstance(await error_of(engine.client.post("/tokenize", b"{}")), InvalidRequest)
    assert server.asked == []


async def test_a_429_is_waited_out_as_long_as_it_asks(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(refuse(429, retry_after_ms="600"), reply(GOOD))
    started = time.perf_counter()
    await engine.client.post(PATH, b"{}")
    assert time.perf_counter() - started >= 0.6
    assert len(server.asked) == 2


async def test_a_429_that_stays(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(refuse(429, "Slowly.", retry_after="1"), retries=1)
    error = await error_of(engine.client.post(PATH, b"{}"))
    assert isinstance(error, RateLimited)
    assert (error.status, error.headers["retry-after"]) == (429, "1")
    assert "Slowly." in error.message
    assert len(server.asked) == 2


@pytest.mark.parametrize("asked", ["900", "a date", "99999999"])
async def test_nobody_waits_long_for_a_429(upstreams: Upstreams, asked: str) -> None:
    if asked == "a date":
        asked = formatdate(time.time() + 900, usegmt=True)
    server, engine = await upstreams.both(refuse(429, retry_after=asked), reply(GOOD))
    error = await error_of(asyncio.wait_for(engine.client.post(PATH, b"{}"), 3))
    assert 800 < int(error.headers["retry-after"]) <= 3600
    assert len(server.asked) == 1


@pytest.mark.parametrize("nonsense", ["soon", "nan", "inf", "-5", "Mon, 99 Foo 2026"])
async def test_a_senseless_retry_after_counts_for_nothing(upstreams: Upstreams, nonsense: str) -> None:
    _, engine = await upstreams.both(refuse(429, retry_after=nonsense), reply(GOOD))
    await asyncio.wait_for(engine.client.post(PATH, b"{}"), 3)


async def test_no_credit_is_not_tried_again(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(refuse(429, code="insufficient_quota"))
    error = await error_of(engine.client.post(PATH, b"{}"))
    assert (type(error), error.code, len(server.asked)) == (RateLimited, "insufficient_quota", 1)


@pytest.mark.parametrize("step", [refuse(502), refuse(503), refuse(504), refuse(408), refuse(429), broken])
@pytest.mark.parametrize("streams", [False, True])
async def test_what_passes_is_tried_again(upstreams: Upstreams, step: Step, streams: bool) -> None:
    server, engine = await upstreams.both(step, step, events(TOKEN) if streams else reply(GOOD))
    if streams:
        assert await streamed(engine) == [PAYLOAD]
    else:
        assert json.loads(await engine.client.post(PATH, b"{}")) == GOOD
    assert len(server.asked) == 3


@pytest.mark.parametrize("streams", [False, True])
async def test_silence_before_the_first_byte_is_tried_again(upstreams: Upstreams, streams: bool) -> None:
    server, engine = await upstreams.both(silence, events(TOKEN) if streams else reply(GOOD), timeout_s=0.4)
    await (streamed(engine) if streams else engine.client.post(PATH, b"{}"))
    assert len(server.asked) == 2
    await left(server, 1)


@pytest.mark.parametrize(
    ("status", "code", "kind", "ours", "tries"),
    [
        (500, None, EngineFailed, 500, 1),
        (501, None, EngineFailed, 500, 1),
        (502, None, EngineFailed, 500, 2),
        (504, None, EngineFailed, 500, 2),
        (503, None, EngineUnavailable, 503, 2),
        (401, "invalid_api_key", EngineUnavailable, 503, 1),
        (403, None, EngineUnavailable, 503, 1),
        (400, "bad_thing", InvalidRequest, 400, 1),
        (413, 413, InvalidRequest, 400, 1),
        (400, "context_length_exceeded", ContextLengthExceeded, 400, 1),
        (404, "model_not_found", ModelNotFound, 404, 1),
    ],
)
async def test_statuses(upstreams: Upstreams, status: int, code: str | int | None, kind: type, ours: int, tries: int) -> None:
    server, engine = await upstreams.both(refuse(status, "Its own words.", code=code, param="top_p"), retries=1)
    for work in (engine.client.post(PATH, b"{}"), streamed(engine)):
        error = await error_of(work)
        assert (type(error), error.status) == (kind, ours)
        if 400 <= ours < 500:
            assert error.message.endswith("Its own words.")
            assert error.param == "top_p"
            assert kind is not ModelNotFound or "'gpu/m'" in error.message
            assert error.code == (code if isinstance(code, str) else "engine_refused")
    assert len(server.asked) == 2 * tries


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, {"error": {"message": "The model `m` does not exist.", "code": 404}}, ModelNotFound, "The model `m` does not exist."),
        (404, {"object": "error", "message": "The model `m` does not exist.", "param": None}, ModelNotFound, "The model `m`"),
        (404, {"error": 'model "m" not found, try pulling it first'}, ModelNotFound, "try pulling it"),
        (404, {"detail": "Not Found"}, InvalidRequest, "can't do this: Not Found"),
        (422, {"detail": [{"loc": ["body", "n"]}]}, InvalidRequest, "no reason"),
        (400, {"message": "This model's maximum context length is 9 tokens."}, ContextLengthExceeded, "is 9 tokens"),
        (400, ["what"], InvalidRequest, "no reason"),
        (400, {"error": {"message": {"a": 1}, "param": 5, "code": [], "type": {}}}, InvalidRequest, "no reason"),
        (400, {"error": {"message": f"Your header was Bearer {KEY}!"}}, InvalidRequest, "was Bearer (key)!"),
    ],
)
async def test_other_servers_words(upstreams: Upstreams, status: int, body: object, kind: type, message: str) -> None:
    _, engine = await upstreams.both(reply(body, status))
    error = await error_of(engine.client.post(PATH, b"{}"))
    assert type(error) is kind
    assert message in error.message


@pytest.mark.parametrize("end", ["close", "stop"])
async def test_a_stream_that_breaks_off_is_not_begun_again(upstreams: Upstreams, end: str) -> None:
    server, engine = await upstreams.both(events(TOKEN, TOKEN, end=end, pause_s=0.05), events(TOKEN))
    got = []
    with pytest.raises(EngineFailed):  # noqa: PT012 - it breaks in the middle
        async for burst in engine.client.stream(PATH, b"{}"):
            got += burst
    assert got == [PAYLOAD] * 2
    assert len(server.asked) == 1


async def test_a_stream_that_stalls(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(events(TOKEN, end="hang"), events(TOKEN), timeout_s=0.4)
    error = await error_of(streamed(engine))
    assert (error.status, error.code) == (504, "engine_timeout")
    assert len(server.asked) == 1
    await left(server, 1)


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (b'{"error":{"message":"Bad.","code":400}}', 400, "engine_refused"),
        (b'{"object": "error", "message":"Gone.","code":404}', 400, "engine_refused"),
        (b'{"error":{"message":"x","type":"invalid_request_error","code":"model_not_found"}}', 404, "model_not_found"),
        (b'{"error":{"message":"x","type":"requests","code":"rate_limit_exceeded"}}', 429, "rate_limit_exceeded"),
        (b'{"error":{"message":"x","code":503}}', 503, "engine_unavailable"),
        (b'{"error":{"message":"x","type":"server_error","code":"engine_timeout"}}', 500, "engine_failed"),
        (b'{"error":"boom"}', 500, "engine_failed"),
    ],
)
async def test_an_error_inside_a_stream(upstreams: Upstreams, event: bytes, status: int, code: str) -> None:
    server, engine = await upstreams.both(events(TOKEN, b"data: " + event + b"\n\n", pause_s=0.05))
    error = await error_of(streamed(engine))
    assert (error.status, error.code, len(server.asked)) == (status, code, 1)


@pytest.mark.parametrize("pieces", [
    (b": comment\n\n", TOKEN),
    (TOKEN.replace(b"\n", b"\r\n"),),
    (b"event: message\nid: 1\n" + TOKEN,),
    tuple(bytes([byte]) for byte in TOKEN),
])  # fmt: skip
async def test_events_in_every_dress(upstreams: Upstreams, pieces: tuple[bytes, ...]) -> None:
    _, engine = await upstreams.both(events(*pieces, pause_s=0.001))
    assert await streamed(engine) == [PAYLOAD]


async def test_a_last_event_without_its_empty_line(upstreams: Upstreams) -> None:
    _, engine = await upstreams.both(events(TOKEN, b"data: [DONE]\n", end="stop"))
    assert await streamed(engine) == [PAYLOAD]


async def test_a_redirect_carries_the_key_nowhere(upstreams: Upstreams) -> None:
    thief = await upstreams.serve(reply(GOOD))
    for status in (301, 302, 307, 308):
        server, engine = await upstreams.both(reply({}, status, location=thief.base_url + "/chat/completions"))
        for work in (engine.client.post(PATH, b"{}"), streamed(engine)):
            assert "redirects" in (await error_of(work)).message
        assert len(server.asked) == 2
    assert thief.asked == thief.listed == []


@pytest.mark.parametrize("status", [200, 500, 502])
async def test_a_web_page_instead_of_an_answer(upstreams: Upstreams, status: int) -> None:
    _, engine = await upstreams.both(text("<html><h1>It works!", "text/html", status), retries=0)
    for work in (engine.client.post(PATH, b"{}"), streamed(engine)):
        error = await error_of(work)
        assert isinstance(error, EngineFailed)
        assert "<h1>" not in error.message


@pytest.mark.parametrize(
    ("step", "status"),
    [
        (reply(GOOD), 500),
        (reply({"error": {"message": "No.", "type": "invalid_request_error"}}), 400),
        (text("hello", "text/plain"), 500),
        (text("data: hello", "text/event-stream"), 500),
    ],
)
async def test_a_reply_that_is_no_stream(upstreams: Upstreams, step: Step, status: int) -> None:
    _, engine = await upstreams.both(step)
    assert (await error_of(streamed(engine))).status == status


async def test_bodies_without_end_are_cut(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(endless("application/json"), endless("text/event-stream"))
    assert "MiB" in (await error_of(engine.client.post(PATH, b"{}"))).message
    assert "without end" in (await error_of(streamed(engine))).message
    await left(server, 2)


async def test_a_refusal_without_end_is_a_refusal(upstreams: Upstreams) -> None:
    _, engine = await upstreams.both(endless("application/json", 400))
    assert isinstance(await error_of(asyncio.wait_for(engine.client.post(PATH, b"{}"), 5)), InvalidRequest)


async def test_streams_one_after_the_other_share_a_connection(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(events(TOKEN))
    for _ in range(3):
        await streamed(engine)
    assert len({asked.peer for asked in server.asked}) == 1


async def test_leaving_breaks_the_connection(upstreams: Upstreams) -> None:
    server, engine = await upstreams.both(silence, events(TOKEN, end="hang"))
    post = asyncio.create_task(engine.client.post(PATH, b"{}"))
    while not server.asked:
        await asyncio.sleep(0.01)
    post.cancel()
    await asyncio.gather(post, return_exceptions=True)
    async with aclosing(engine.client.stream(PATH, b"{}")) as bursts:
        assert await anext(bursts) == [PAYLOAD]
    await left(server, 2)


async def test_stopping_ends_its_streams_with_an_error(upstreams: Upstreams) -> None:
    _, engine = await upstreams.both(events(TOKEN, end="hang"))
    bursts = engine.client.stream(PATH, b"{}")
    assert await anext(bursts) == [PAYLOAD]
    await engine.stop()
    for work in (anext(bursts), engine.client.post(PATH, b"{}")):
        assert isinstance(await error_of(work), EngineFailed)
