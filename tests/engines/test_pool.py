"""The pool over the real fake engine: starts once, queues fairly, evicts, replaces what crashed or hangs, leaves nothing."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from openhearth.engines.contract import EngineSpec
from openhearth.engines.fake import FakeLauncher
from openhearth.engines.memory import Memory
from openhearth.engines.pool import STOPPING, Lease, Pool
from openhearth.errors import EngineFailed, EngineTimeout, EngineUnavailable, QueueFull
from openhearth.settings import EngineSettings

MIB = 2**20


def spec(name: str = "fake:chat", *, memory_mib: int = 0, **options: object) -> EngineSpec:
    return EngineSpec(name, "fake", options={"slots": 2, **options}, memory_bytes=memory_mib * MIB)


@asynccontextmanager
async def opened(folder: Path, *, budget_mib: int | None = None, stall_s: float = 30, **settings: object) -> AsyncIterator[Pool]:
    pool = Pool(
        {"fake": FakeLauncher(folder, stall_timeout_s=stall_s)},
        EngineSettings(**settings),  # type: ignore[arg-type]
        budget_bytes=budget_mib * MIB if budget_mib is not None else None,
    )
    try:
        yield pool
    finally:
        await pool.close()
        assert list(folder.glob("*.sock")) == []


async def say(lease: Lease, text: str) -> str:
    body = json.dumps({"messages": [{"role": "user", "content": text}], "stream": True}).encode()
    said = ""
    async for burst in lease.client.stream("/v1/chat/completions", body):
        for payload in burst:
            for choice in json.loads(payload)["choices"]:
                said += choice["delta"].get("content") or ""
    return said


async def ask(pool: Pool, text: str, wanted: EngineSpec, slots: int = 1) -> str:
    async with pool.acquire(wanted, slots=slots) as lease:
        return await say(lease, text)


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_many_first_requests_start_one_engine(tmp_path: Path) -> None:
    async with opened(tmp_path) as pool:
        assert pool.status() == []
        answers = await asyncio.gather(*(ask(pool, "[[say:hello]]", spec()) for _ in range(10)))
        assert answers == ["hello"] * 10
        (status,) = pool.status()
        assert (status.state, status.slots, status.in_use, status.waiting, status.restarts) == ("ready", 2, 0, 0, 0)
        assert status.memory_bytes > MIB
        assert status.pid is not None
        assert psutil.pid_exists(status.pid)
    assert not psutil.pid_exists(status.pid)


async def test_slots_are_given_in_order_and_bounded(tmp_path: Path) -> None:
    async with opened(tmp_path, queue=3) as pool:
        await pool.preload(spec())
        order: list[int] = []

        async def one(number: int, slots: int) -> None:
            async with pool.acquire(spec(), slots=slots) as lease:
                assert lease.slots == min(slots, 2)
                order.append(number)
                await asyncio.sleep(0.02)

        first = asyncio.create_task(one(0, 1))
        await asyncio.sleep(0.005)
        # The big one waits for both slots, and the small ones behind it don't overtake.
        rest = [asyncio.create_task(one(n, slots)) for n, slots in ((1, 9), (2, 1), (3, 1))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as caught:
            await one(4, 1)
        assert caught.value.status == 429
        assert int(caught.value.headers["retry-after"]) >= 1
        await asyncio.gather(first, *rest)
        assert order == [0, 1, 2, 3]


async def test_a_storm_of_cancellations_leaks_no_slot(tmp_path: Path) -> None:
    dice = random.Random(1)
    async with opened(tmp_path, queue=1000) as pool:
        await pool.preload(spec())

        async def one() -> None:
            async with pool.acquire(spec(), slots=dice.choice([1, 1, 2, 3])):
                await asyncio.sleep(dice.random() / 200)

        tasks = [asyncio.create_task(one()) for _ in range(300)]
        for task in dice.sample(tasks, 200):
            await asyncio.sleep(dice.random() / 500)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        (status,) = pool.status()
        assert (status.in_use, status.waiting) == (0, 0)
        assert await ask(pool, "[[say:still here]]", spec(), slots=2) == "still here"


async def test_a_crash_fails_those_in_it_and_the_next_request_works(tmp_path: Path) -> None:
    async with opened(tmp_path) as pool:
        with pytest.raises(EngineFailed):
            await ask(pool, "[[tokens:20]] [[crash_after:3]]", spec())
        assert await ask(pool, "[[say:again]]", spec()) == "again"
        (status,) = pool.status()
        assert (status.restarts, status.in_use) == (1, 0)


async def test_a_child_killed_while_idle_is_noticed_and_replaced(tmp_path: Path) -> None:
    async with opened(tmp_path) as pool:
        await pool.preload(spec())
        pid = pool.status()[0].pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda: pool.status()[0].state == "failed")
        assert "SIGKILL" in (pool.status()[0].last_error or "") or pool.status()[0].last_error
        assert await ask(pool, "[[say:again]]", spec()) == "again"


async def test_repeated_crashes_back_off_and_say_when_to_come_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as pool:
        for _ in range(2):
            with pytest.raises(EngineFailed):
                await ask(pool, "[[crash]]", spec())
            await until(lambda: pool.status()[0].state == "failed")
        with pytest.raises(EngineUnavailable) as caught:
            await ask(pool, "[[say:no]]", spec())
        assert caught.value.status == 503
        await asyncio.sleep(int(caught.value.headers["retry-after"]) + 0.1)
        assert await ask(pool, "[[say:yes]]", spec()) == "yes"


async def test_requests_that_wait_when_it_crashes_get_the_next_engine(tmp_path: Path) -> None:
    async with opened(tmp_path) as pool:
        crash = [asyncio.create_task(ask(pool, "[[crash_after:2]] [[tokens:9]] [[delay_ms:100]]", spec())) for _ in range(2)]
        await until(lambda: pool.status() and pool.status()[0].in_use == 2)
        waiter = asyncio.create_task(ask(pool, "[[say:patient]]", spec()))
        assert await waiter == "patient"
        outcomes = await asyncio.gather(*crash, return_exceptions=True)
        assert all(isinstance(outcome, EngineFailed) for outcome in outcomes)


async def test_a_hung_engine_is_replaced(tmp_path: Path) -> None:
    async with opened(tmp_path, stall_s=0.3) as pool:
        await pool.preload(spec())
        pid = pool.status()[0].pid
        with pytest.raises(EngineTimeout):
            await ask(pool, "[[tokens:5]] [[hang_after:2]]", spec())
        assert await ask(pool, "[[say:again]]", spec()) == "again"
        assert pool.status()[0].pid != pid
        await until(lambda: not psutil.pid_exists(pid or 0))


async def test_a_start_that_fails_tells_all_who_wait(tmp_path: Path) -> None:
    async with opened(tmp_path, start_timeout_s=0.3) as pool:
        outcomes = await asyncio.gather(*(ask(pool, "hi", spec(start_delay_s=5)) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(outcome, EngineUnavailable) for outcome in outcomes)
        assert "0.3 seconds" in str(outcomes[0])
        with pytest.raises(EngineUnavailable):
            await ask(pool, "hi", spec(start_delay_s=5))


async def test_the_least_recently_used_idle_engine_makes_room(tmp_path: Path) -> None:
    a, b, c = (spec(name, memory_mib=100) for name in "abc")
    async with opened(tmp_path, budget_mib=210) as pool:
        await ask(pool, "hi", a)
        await ask(pool, "hi", b)
        await ask(pool, "hi", a)
        await ask(pool, "hi", c)
        assert {status.id for status in pool.status()} == {"a", "c"}


async def test_a_busy_engine_is_waited_for_not_evicted(tmp_path: Path) -> None:
    a, b = (spec(name, memory_mib=100) for name in "ab")
    async with opened(tmp_path, budget_mib=150, start_timeout_s=10) as pool:
        busy = asyncio.create_task(ask(pool, "[[say:one two three four]] [[delay_ms:60]]", a))
        await until(lambda: pool.status() and pool.status()[0].in_use)
        assert await ask(pool, "[[say:b]]", b) == "b"
        assert await busy == "one two three four"


async def test_no_room_says_so_with_numbers(tmp_path: Path) -> None:
    async with opened(tmp_path, budget_mib=150, start_timeout_s=3) as pool:
        with pytest.raises(EngineUnavailable, match=r"400 MiB.*150 MiB"):
            await ask(pool, "hi", spec("huge", memory_mib=400))
        async with pool.acquire(spec("a", memory_mib=100)):
            with pytest.raises(EngineUnavailable, match="taken by a"):
                await ask(pool, "hi", spec("b", memory_mib=100))


async def test_idle_engines_are_unloaded_after_the_keep_alive(tmp_path: Path) -> None:
    async with opened(tmp_path, keep_alive_s=0.3) as pool:
        await ask(pool, "hi", spec())
        await until(lambda: not pool.status(), 3)
        assert await ask(pool, "[[say:back]]", spec()) == "back"


async def test_unload_lets_answers_end_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as pool:
        answer = asyncio.create_task(ask(pool, "[[say:one two three]] [[delay_ms:50]]", spec()))
        await until(lambda: pool.status() and pool.status()[0].in_use)
        await pool.unload("fake:chat")
        assert await answer == "one two three"
        assert pool.status() == []


async def test_close_ends_waiting_and_starting_requests(tmp_path: Path) -> None:
    pool = Pool({"fake": FakeLauncher(tmp_path)}, EngineSettings())
    others = psutil.Process().children()
    waiting = [asyncio.create_task(ask(pool, "hi", spec(start_delay_s=5))) for _ in range(2)]
    await asyncio.sleep(0.2)
    children = [child for child in psutil.Process().children() if child not in others]
    await asyncio.wait_for(pool.close(), 5)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [EngineUnavailable] * 2
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    with pytest.raises(EngineUnavailable, match="stopping"):
        await ask(pool, "hi", spec())


async def test_a_waiter_that_leaves_while_all_are_sent_away(tmp_path: Path) -> None:
    pool = Pool({"fake": FakeLauncher(tmp_path)}, EngineSettings())
    waiting = asyncio.create_task(pool.preload(spec(start_delay_s=5)))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await pool.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def give_up(pool: Pool, text: str, seconds: float) -> None:
    """Ask, and leave before the first word."""

    async def ask_text() -> None:
        async with pool.acquire(spec()) as lease:
            async for _ in lease.client.stream("/v1/completions", json.dumps({"prompt": text, "stream": True}).encode()):
                raise AssertionError("It was not silent.")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask_text(), seconds)


class TestSilence:
    """An engine that says nothing to clients that all leave before its time limit hangs, too."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("openhearth.engines.engine.SILENT_S", 0.5)

    async def test_it_is_replaced(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as pool:
            await pool.preload(spec())
            pid = pool.status()[0].pid
            await give_up(pool, "[[hang]]", 0.3)
            assert pool.status()[0].pid == pid
            await give_up(pool, "[[hang]]", 0.3)
            assert await ask(pool, "[[say:again]]", spec()) == "again"
            assert pool.status()[0].pid != pid

    async def test_one_that_answers_others_is_not(self, tmp_path: Path) -> None:
        async with opened(tmp_path) as pool:
            await pool.preload(spec())
            pid = pool.status()[0].pid
            for _ in range(3):
                await give_up(pool, "[[hang]]", 0.3)
                assert await ask(pool, "[[say:x]]", spec()) == "x"
            assert pool.status()[0].pid == pid


async def test_a_client_that_leaves_before_the_first_word_frees_its_slots(tmp_path: Path) -> None:
    async with opened(tmp_path) as pool:
        asking = asyncio.create_task(ask(pool, "[[prefill_ms:60000]]", spec(), slots=2))
        await until(lambda: pool.status() and pool.status()[0].in_use == 2)
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with pool.acquire(spec(), slots=2) as lease, asyncio.timeout(2):
            while (state := json.loads(await lease.client.get("/fake/state")))["busy"]:
                await asyncio.sleep(0.02)
            assert state["cancelled"] == 1


@pytest.mark.parametrize("steps", range(4))
async def test_who_waits_for_memory_can_be_sent_away_when_some_comes(steps: int) -> None:
    """Its start must not go on while the pool closes."""
    memory = Memory({}, None, lambda _engine: asyncio.sleep(0))
    waiting = asyncio.create_task(memory.released(30))
    await asyncio.sleep(0.01)
    memory.notify()
    for _ in range(steps):
        await asyncio.sleep(0)
    given_up = waiting.cancel()
    outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
    assert isinstance(outcome, asyncio.CancelledError) is given_up


async def begun(pool: Pool) -> asyncio.Task[str]:
    """A request that is being answered."""
    asking = asyncio.create_task(ask(pool, "[[tokens:400]] [[delay_ms:20]]", spec()))
    await until(lambda: any(status.in_use for status in pool.status()))
    await asyncio.sleep(0.2)
    return asking


@pytest.mark.parametrize("again", [False, True], ids=["alone", "others wait"])
async def test_a_killed_engines_requests_are_told_so(tmp_path: Path, again: bool) -> None:
    async with opened(tmp_path) as pool:
        asking = await begun(pool)
        others = [asyncio.create_task(ask(pool, "[[say:after]] [[delay_ms:20]]", spec(), slots=2)) for _ in range(again)]
        await asyncio.sleep(0)
        pid = pool.status()[0].pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineFailed, match=r"^The engine of fake:chat ended by itself\.$"):
            await asking
        assert await asyncio.gather(*others) == ["after"] * again


@pytest.mark.parametrize("streams", [True, False])
async def test_a_closed_pools_requests_are_told_so(tmp_path: Path, streams: bool) -> None:
    async def whole(pool: Pool) -> None:
        async with pool.acquire(spec()) as lease:
            body = {"messages": [{"role": "user", "content": "[[tokens:400]] [[delay_ms:20]]"}]}
            await lease.client.post("/v1/chat/completions", json.dumps(body).encode())

    async with opened(tmp_path) as pool:
        asking = await begun(pool) if streams else asyncio.create_task(whole(pool))
        await until(lambda: any(status.in_use for status in pool.status()))
        await asyncio.sleep(0.2)
        await pool.close()
        with pytest.raises(EngineUnavailable, match=f"^{STOPPING}$"):
            await asking


async def test_an_unloaded_engines_requests_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openhearth.engines.pool.UNLOAD_GRACE_S", 0.0)
    async with opened(tmp_path) as pool:
        asking = await begun(pool)
        await pool.unload("fake:chat")
        with pytest.raises(EngineFailed, match=r"^The engine of fake:chat was stopped\.$"):
            await asking


async def test_a_failure_of_an_engine_that_lives_keeps_its_own_words(tmp_path: Path) -> None:
    async with opened(tmp_path) as pool:
        with pytest.raises(EngineFailed, match="status 404"):
            async with pool.acquire(spec()) as lease:
                await lease.client.post("/v1/nothing", b"{}")
