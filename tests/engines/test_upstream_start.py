"""The upstream engine's start: its probe, what it learns there, and the listing that the catalogue of models reads."""

from __future__ import annotations

import time
from typing import Any

import pytest

from openhearth.engines.contract import EngineSpec
from openhearth.engines.upstream import UpstreamLauncher, UpstreamModel, list_models
from openhearth.engines.upstream.address import Address
from openhearth.errors import EngineFailed, EngineUnavailable, OpenHearthError
from openhearth.settings import Upstream
from tests.support.scripted import Step, broken, endless, refuse, reply, scripted, silence, text

KEY = "sk-upstream-0123456789"


def spec(base_url: str, **options: Any) -> EngineSpec:
    return EngineSpec("gpu/m", "upstream", options={"base_url": base_url, "api_key": KEY, "model": "m", "retries": 0, **options})


def listing(**entry: Any) -> Step:
    return reply({"object": "list", "data": [{"id": "other", "max_model_len": 1}, {"id": "m", "object": "model", **entry}]})


async def refusal(base_url: str, **options: Any) -> OpenHearthError:
    with pytest.raises(EngineUnavailable) as raised:
        await UpstreamLauncher().start(spec(base_url, **options))
    assert KEY not in raised.value.message
    return raised.value


@pytest.mark.parametrize(
    ("entry", "context"),
    [
        ({"max_model_len": 32768}, 32768),
        ({"context_length": 8192.0}, 8192),
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 9}}, 4096),
        ({}, None),
        ({"max_model_len": "many", "meta": [], "context_length": -1}, None),
        ({"max_model_len": True}, None),
    ],
)
async def test_the_context_is_what_the_listing_says(entry: dict[str, Any], context: int | None) -> None:
    async with scripted(models=listing(**entry)) as server:
        engine = await UpstreamLauncher().start(spec(server.base_url))
        assert engine.properties.context == context
        assert server.listed[0].headers["authorization"] == f"Bearer {KEY}"
        await engine.stop()


@pytest.mark.parametrize(
    ("options", "capabilities"),
    [
        ({}, {"chat", "completion"}),
        ({"task": "chat", "capabilities": ("tools", "reasoning")}, {"chat", "completion", "tools", "reasoning"}),
        ({"task": "embedding"}, {"embedding"}),
    ],
)
async def test_capabilities_are_what_the_options_say(options: dict[str, Any], capabilities: set[str]) -> None:
    async with scripted(models=listing()) as server:
        engine = await UpstreamLauncher().start(spec(server.base_url, **options))
        assert engine.properties.capabilities == capabilities
        await engine.stop()


@pytest.mark.parametrize("models", [refuse(404, "Not Found"), refuse(404, "no such path: /v1/models"), refuse(405), refuse(429)])
async def test_a_server_without_a_listing_will_do(models: Step) -> None:
    async with scripted(models=models) as server:
        engine = await UpstreamLauncher().start(spec(server.base_url))
        assert engine.properties.context is None
        await engine.stop()


@pytest.mark.parametrize(
    ("models", "why"),
    [
        (refuse(401), "refused its key"),
        (refuse(403), "refused its key"),
        (refuse(503, "Loading model"), "Loading model"),
        (refuse(500), "status 500"),
        (reply({}, 302, location="http://127.0.0.1:1/"), "redirects"),
        (text("<h1>It works!", "text/html"), "web page"),
        (text("hello", "text/plain"), "no list of models"),
        (reply({"data": "none"}), "no list of models"),
        (reply([]), "no list of models"),
        (broken, "can't be reached"),
        (silence, "sent nothing for 0.3 seconds"),
        (endless("application/json"), "MiB"),
    ],
)
async def test_why_it_does_not_start(models: Step, why: str) -> None:
    async with scripted(models=models) as server:
        message = (await refusal(server.base_url, timeout_s=30 if why == "MiB" else 0.3)).message
        assert why in message
        assert server.host in message


async def test_nobody_there() -> None:
    async with scripted() as server:
        host, base_url = server.host, server.base_url
    error = await refusal(base_url)
    assert error.message == f"The upstream server {host} can't be reached: connection refused."
    assert error.status == 503


async def test_not_the_tls_that_was_expected() -> None:
    async with scripted(models=listing()) as server:
        assert "TLS" in (await refusal(server.base_url.replace("http:", "https:"))).message


@pytest.mark.parametrize(
    "base_url",
    ["", "127.0.0.1:8000/v1", "ftp://127.0.0.1/v1", "file:///etc/passwd", "http:///v1", "http://user:secret@127.0.0.1/v1",
     "http://127.0.0.1/v1?key=secret", "http://127.0.0.1/v1#x", "http://127.0.0.1:99999/v1", "http://[::1/v1"],
)  # fmt: skip
async def test_unfit_addresses(base_url: str) -> None:
    error = await refusal(base_url)
    assert "base_url" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize(("base_url", "url", "shown"), [
    ("http://[::1]:8000/v1/", "http://[::1]:8000/v1/models", "[::1]:8000"),
    ("https://gpu.local/openai/v1", "https://gpu.local/openai/v1/models", "gpu.local"),
])  # fmt: skip
def test_addresses(base_url: str, url: str, shown: str) -> None:
    address = Address.of(base_url, KEY)
    assert (address.base_url + address.path("/v1/models"), address.shown) == (url, shown)
    assert KEY not in repr(address)


async def test_keys_that_no_header_can_carry() -> None:
    for key in ("sk-a\r\nx-evil: 1", "sk-\N{SNOWMAN}", "sk a"):
        error = await refusal("http://127.0.0.1:1/v1", api_key=key)
        assert "key" in error.message
        assert key not in error.message
    assert Address.of("http://127.0.0.1:1/v1", f"{KEY}\n").key == KEY


async def test_the_listing() -> None:
    entries = [
        {"id": "a", "created": 1700000000, "owned_by": "vllm", "max_model_len": 4096},
        {"id": "b"},
        {"id": ""}, {"id": 7}, {"id": "evil\x1b[2J"}, {"id": "x" * 301}, "c", None,
        {"id": "d/e:f", "created": "now", "owned_by": ["me"], "context_length": 1e400},
    ]  # fmt: skip
    body = {"data": entries}
    async with scripted(models=reply(body)) as server:
        assert await list_models(Upstream("gpu", server.base_url + "/"), KEY) == [
            UpstreamModel("a", 4096, 1700000000, "vllm"), UpstreamModel("b"), UpstreamModel("d/e:f"),
        ]  # fmt: skip


async def test_a_listing_is_not_waited_for_long() -> None:
    async with scripted(models=silence) as server:
        started = time.perf_counter()
        with pytest.raises(OpenHearthError):
            await list_models(Upstream("gpu", server.base_url), None, timeout_s=0.3)
        assert time.perf_counter() - started < 2
        assert len(server.listed) == 1


async def test_no_listing() -> None:
    async with scripted(models=text("hello", "text/plain")) as server:
        with pytest.raises(EngineFailed, match="no list of models"):
            await list_models(Upstream("gpu", server.base_url), None)
