"""A server that fails several times in a row is left alone; the pool goes on with the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from openhearth.engines.contract import EngineSpec
from openhearth.engines.pool import DYING_S, Pool
from openhearth.engines.upstream import UpstreamLauncher
from openhearth.engines.upstream.circuit import Circuit
from openhearth.errors import EngineFailed, EngineUnavailable, OpenHearthError
from openhearth.settings import EngineSettings
from tests.support.scripted import Scripted, Step, broken, events, refuse, reply, scripted, silence

PATH = "/v1/chat/completions"
GOOD = reply({"choices": []})
TOKEN = b'data: {"choices":[]}\n\n'


@asynccontextmanager
async def opened(circuit_first_s: float = 0.5) -> AsyncIterator[Pool]:
    pool = Pool({"upstream": UpstreamLauncher(circuit_first_s=circuit_first_s)}, EngineSettings())
    try:
        yield pool
    finally:
        await pool.close()


def spec(server: Scripted, name: str = "m", **options: Any) -> EngineSpec:
    return EngineSpec(f"gpu/{name}", "upstream", options={"base_url": server.base_url, "model": name, "retries": 0, **options})


async def ask(pool: Pool, wanted: EngineSpec) -> bytes:
    async with pool.acquire(wanted) as lease:
        return await lease.client.post(PATH, b"{}")


async def fail(pool: Pool, wanted: EngineSpec, times: int) -> None:
    for _ in range(times):
        with pytest.raises(OpenHearthError):
            await ask(pool, wanted)


def wait_of(circuit: Circuit) -> int:
    with pytest.raises(EngineUnavailable) as raised:
        circuit.admit()
    return int(raised.value.headers["retry-after"])


@pytest.mark.parametrize("step", [broken, refuse(503), refuse(502), silence])
async def test_five_failures_in_a_row_open_it(step: Step) -> None:
    async with scripted(step) as server, opened(circuit_first_s=30) as pool:
        await fail(pool, spec(server, timeout_s=0.3), 5)
        started = time.perf_counter()
        with pytest.raises(EngineUnavailable) as raised:
            await ask(pool, spec(server, timeout_s=0.3))
        assert time.perf_counter() - started < 0.25
        assert 15 <= int(raised.value.headers["retry-after"]) <= 30
        assert server.host in raised.value.message
        assert len(server.asked) == 5


async def test_refusals_leave_it_closed_and_a_success_starts_the_count_again() -> None:
    script = [broken] * 4 + [GOOD] + [broken] * 4 + [refuse(400)] + [broken] * 4 + [refuse(500)] + [broken] * 4 + [refuse(429), GOOD]
    async with scripted(*script) as server, opened() as pool:
        await fail(pool, spec(server), 4)
        await ask(pool, spec(server))
        await fail(pool, spec(server), 15)
        await ask(pool, spec(server))
        assert len(server.asked) == len(script)


async def test_tries_of_one_request_count_each() -> None:
    async with scripted(broken) as server, opened(circuit_first_s=30) as pool:
        another = spec(server, "another", retries=9)
        await pool.preload(another)
        await fail(pool, spec(server), 3)
        with pytest.raises(EngineUnavailable, match="left alone"):
            await ask(pool, another)
        assert len(server.asked) == 5


async def test_models_of_a_server_share_it_and_other_servers_do_not() -> None:
    async with scripted(broken) as server, scripted(GOOD) as sound, opened(circuit_first_s=30) as pool:
        await pool.preload(spec(server, "second"))
        await fail(pool, spec(server), 5)
        for other in ("second", "third"):
            with pytest.raises(EngineUnavailable, match="left alone"):
                await ask(pool, spec(server, other))
        assert len(server.asked) == 5
        await ask(pool, spec(sound, "sound"))


async def test_one_probe_decides() -> None:
    """While it is on its way everyone else is refused; it is a small request, so that it is never a long one."""
    gate = asyncio.Event()

    async def models(request: Any) -> Any:
        if len(server.listed) == 2:
            await gate.wait()
        return await reply({"data": []})(request)

    async with scripted(*[broken] * 5, GOOD, models=models) as server, opened(circuit_first_s=0.3) as pool:
        await fail(pool, spec(server), 5)
        await asyncio.sleep(0.35)
        first = asyncio.create_task(ask(pool, spec(server)))
        while len(server.listed) < 2:
            await asyncio.sleep(0.01)
        await fail(pool, spec(server), 3)
        gate.set()
        await first
        await asyncio.gather(*(ask(pool, spec(server)) for _ in range(5)))
        assert (len(server.listed), len(server.asked)) == (2, 11)


async def test_a_probe_that_is_left_is_followed_by_another() -> None:
    async def models(request: Any) -> Any:
        return await (silence if len(server.listed) == 2 else reply({"data": []}))(request)

    async with scripted(*[broken] * 5, GOOD, models=models) as server, opened(circuit_first_s=0.2) as pool:
        await fail(pool, spec(server), 5)
        await asyncio.sleep(0.25)
        first = asyncio.create_task(ask(pool, spec(server)))
        while len(server.listed) < 2:
            await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await ask(pool, spec(server))


async def test_a_failed_probe_opens_it_again() -> None:
    async def models(request: Any) -> Any:
        return await (refuse(503) if len(server.listed) == 2 else reply({"data": []}))(request)

    async with scripted(*[broken] * 5, GOOD, models=models) as server, opened(circuit_first_s=0.2) as pool:
        await fail(pool, spec(server), 5)
        await asyncio.sleep(0.25)
        await fail(pool, spec(server), 3)
        assert (len(server.listed), len(server.asked)) == (2, 5)
        await asyncio.sleep(0.45)
        await ask(pool, spec(server))


def test_it_stays_open_longer_each_time_but_not_for_ever() -> None:
    circuit = Circuit("gpu", first_s=4)
    for _ in range(5):
        assert not circuit.admit()
        circuit.failed("it is gone")
    for longest in (4, 8, 16, 32, 60, 60, *[60] * 30):
        assert longest // 2 <= wait_of(circuit) <= longest
        with circuit.probe():
            circuit.failed("it is gone")
    circuit.answered()
    assert not circuit.admit()


def test_late_failures_do_not_keep_it_open() -> None:
    circuit = Circuit("gpu", first_s=4)
    for _ in range(50):
        circuit.failed("it is gone")
    assert wait_of(circuit) <= 4


async def test_one_that_stalls_harms_no_other_answer() -> None:
    """The pool replaces an engine that hangs; a server elsewhere is not ours to replace."""
    slow = events(*[TOKEN] * 12, pause_s=0.1)
    async with scripted(slow, silence, GOOD) as server, opened() as pool:
        wanted = spec(server, timeout_s=0.5)

        async def read() -> int:
            async with pool.acquire(wanted) as lease, aclosing(lease.client.stream(PATH, b"{}")) as bursts:
                return sum([len(burst) async for burst in bursts])

        reading = asyncio.create_task(read())
        while not server.asked:
            await asyncio.sleep(0.01)
        with pytest.raises(OpenHearthError) as raised:
            await ask(pool, wanted)
        assert (raised.value.status, raised.value.code) == (504, "engine_timeout")
        await ask(pool, wanted)
        assert await reading == 12
        (status,) = pool.status()
        assert (status.state, status.restarts, status.in_use) == ("ready", 0, 0)


async def test_a_failed_answer_is_told_at_once() -> None:
    """The pool waits a moment for a failing process of its own to end; here is none."""
    async with scripted(refuse(500)) as server, opened() as pool:
        times = []
        for _ in range(4):
            started = time.perf_counter()
            with pytest.raises(EngineFailed):
                await ask(pool, spec(server))
            times.append(time.perf_counter() - started)
        assert min(times) < DYING_S


async def test_a_server_that_was_away_at_the_start_is_found_later() -> None:
    script = [refuse(503), reply({"data": []})]

    async def models(request: Any) -> Any:
        return await script[len(server.listed) > 1](request)

    async with scripted(GOOD, models=models) as server, opened() as pool:
        await fail(pool, spec(server), 1)
        async with asyncio.timeout(5):
            while True:
                try:
                    await ask(pool, spec(server))
                    return
                except EngineUnavailable:
                    await asyncio.sleep(0.1)
