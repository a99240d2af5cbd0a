"""Another Open Hearth, a process of its own, as an upstream server: the whole way there and back."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from openhearth.engines.contract import EngineSpec
from openhearth.engines.pool import Lease, Pool
from openhearth.engines.upstream import UpstreamLauncher, list_models
from openhearth.errors import EngineFailed, EngineUnavailable, InvalidRequest, ModelNotFound
from openhearth.settings import EngineSettings, Upstream
from tests.support.serving import RunningServer, started

PATH = "/v1/completions"


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool({"upstream": UpstreamLauncher()}, EngineSettings())
    yield pool
    await pool.close()


def spec(server: RunningServer, **options: Any) -> EngineSpec:
    return EngineSpec(
        "house/chat", "upstream", options={"base_url": server.base_url, "api_key": server.key, "model": "fake:chat", "slots": 2, **options}
    )


def body(prompt: str, **more: Any) -> bytes:
    return json.dumps({"model": "fake:chat", "prompt": prompt, "max_tokens": 500, **more}).encode()


async def said(lease: Lease, prompt: str) -> str:
    async with aclosing(lease.client.stream(PATH, body(prompt, stream=True))) as bursts:
        return "".join([choice["text"] async for burst in bursts for payload in burst for choice in json.loads(payload)["choices"]])


def busy(server: RunningServer) -> float:
    """Slots of the model that are in use over there."""
    request = urllib.request.Request(server.root + "/metrics", headers={"authorization": f"Bearer {server.key}"})
    with urllib.request.urlopen(request, timeout=5) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("openhearth_engine_in_use{") and "fake:chat" in line)


async def until_free(server: RunningServer) -> None:
    async with asyncio.timeout(1):
        while await asyncio.to_thread(busy, server):
            await asyncio.sleep(0.02)


async def test_post_and_stream(server: RunningServer, pool: Pool) -> None:
    async with pool.acquire(spec(server)) as lease:
        reply = json.loads(await lease.client.post(PATH, body("[[say:the river runs]]")))
        assert reply["choices"][0]["text"] == "the river runs"
        assert await said(lease, "[[say:the river runs]]") == "the river runs"


async def test_many_at_once_keep_to_its_slots(server: RunningServer, pool: Pool) -> None:
    async def ask(number: int) -> str:
        async with pool.acquire(spec(server)) as lease:
            assert pool.status()[0].in_use <= 2
            return await said(lease, f"[[say:answer {number}]] [[prefill_ms:30]]")

    assert await asyncio.gather(*(ask(number) for number in range(12))) == [f"answer {number}" for number in range(12)]


@pytest.mark.parametrize("streams", [False, True])
async def test_leaving_frees_the_slot_there(server: RunningServer, pool: Pool, streams: bool) -> None:
    async def ask() -> None:
        prompt = "[[tokens:400]] [[delay_ms:50]]"
        async with pool.acquire(spec(server)) as lease:
            await (said(lease, prompt) if streams else lease.client.post(PATH, body(prompt)))

    asking = asyncio.create_task(ask())
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(busy, server):
            await asyncio.sleep(0.02)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await until_free(server)
    assert pool.status()[0].in_use == 0


async def test_its_errors(server: RunningServer, pool: Pool) -> None:
    async with pool.acquire(spec(server)) as lease:
        with pytest.raises(ModelNotFound):
            await lease.client.post(PATH, json.dumps({"model": "no-such-model", "prompt": "Hi"}).encode())
        with pytest.raises(InvalidRequest) as raised:
            await lease.client.post(PATH, body("Hi", temperature=9))
        assert raised.value.param == "temperature"


async def test_a_wrong_key_is_not_the_clients_affair(server: RunningServer, pool: Pool) -> None:
    with pytest.raises(EngineUnavailable, match="refused its key"):
        await pool.preload(spec(server, api_key="sk-wrong"))


async def test_its_models(server: RunningServer) -> None:
    upstream = Upstream("house", server.base_url)
    models = {model.id: model for model in await list_models(upstream, server.key)}
    assert {"fake:chat", "fake:embed"} <= set(models)
    assert models["fake:chat"].created is not None
    with pytest.raises(EngineUnavailable, match="refused its key"):
        await list_models(upstream, None)


async def test_killed_in_mid_answer_and_started_again(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> None:
    """A clean error for who was listening, refusals while it is away, answers once it is back on the same address."""
    folder = tmp_path_factory.mktemp("house")
    with started(folder) as house:
        port = house.root.rsplit(":", 1)[1]
        wanted = spec(house, retries=0)
        async with pool.acquire(wanted) as lease:
            bursts = lease.client.stream(PATH, body("[[tokens:400]] [[delay_ms:20]]", stream=True))
            await anext(bursts)
            children = house.children()
            house.process.kill()
            house.process.wait()
            with pytest.raises(EngineFailed):  # noqa: PT012 - it breaks in the middle
                while True:
                    await anext(bursts)
            for _ in range(6):
                with pytest.raises(EngineUnavailable):
                    await lease.client.post(PATH, body("Hi"))
        for child in children:
            child.wait(10)
    with started(folder, flags=("--port", port)):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                async with pool.acquire(wanted) as lease:
                    assert await said(lease, "[[say:back]]") == "back"
                    return
            except EngineUnavailable:
                await asyncio.sleep(0.1)
    pytest.fail("it was not found again")
