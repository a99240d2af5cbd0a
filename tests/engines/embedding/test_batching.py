"""Micro-batching: who shares a batch, who goes first, and what happens to those who leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from openhearth.engines.embedding.batching import Batcher

Sequences = Sequence[Sequence[int]]


class Recorder:
    """Sums each sequence, and remembers the batches. Runs one batch per `allow`, unless it is open."""

    def __init__(self, *, open_to_all: bool = True) -> None:
        self.batches: list[list[list[int]]] = []
        self.open_to_all = open_to_all
        self._allowed = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)

    def __call__(self, sequences: Sequences) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        self.batches.append([list(sequence) for sequence in sequences])
        self.entered.release()
        if not self.open_to_all:
            assert self._allowed.acquire(timeout=5)
        if any(-1 in sequence for sequence in sequences):
            raise ValueError("this one can't be embedded")
        return np.array([[sum(sequence)] for sequence in sequences], np.float32)

    def allow(self, batches: int = 1) -> None:
        for _ in range(batches):
            self._allowed.release()

    async def running(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, True, 5)


async def test_rows_come_in_the_order_of_the_request() -> None:
    sequences = [[length] * length for length in (3, 1, 9, 2, 7)]
    rows = await Batcher(Recorder(), batch_tokens=6).embed(sequences)
    assert rows.tolist() == [[sum(sequence)] for sequence in sequences]


async def test_requests_that_are_there_together_share_a_batch() -> None:
    embed = Recorder()
    batcher = Batcher(embed)
    rows = await asyncio.gather(*(batcher.embed([[number]]) for number in range(10)))
    assert [row.tolist() for row in rows] == [[[number]] for number in range(10)]
    assert len(embed.batches) == 1


async def test_a_batch_keeps_to_its_tokens_and_a_long_sequence_has_its_own() -> None:
    embed = Recorder()
    await Batcher(embed, batch_tokens=10).embed([[1] * 4] * 5 + [[1] * 30])
    assert sorted(sum(map(len, batch)) for batch in embed.batches) == [4, 8, 8, 30]


async def test_one_sequence_does_not_wait_for_a_thousand() -> None:
    embed = Recorder(open_to_all=False)
    batcher = Batcher(embed, batch_tokens=10)
    many = asyncio.create_task(batcher.embed([[1] * 5] * 1000))
    await embed.running()
    one = asyncio.create_task(batcher.embed([[7, 7]]))
    await asyncio.sleep(0.01)
    embed.allow(3)
    assert (await asyncio.wait_for(one, 5)).tolist() == [[14]]
    assert not many.done()
    assert len(embed.batches) <= 4
    embed.open_to_all = True
    embed.allow(1)
    assert len(await many) == 1000


async def test_many_great_requests_get_on_alike() -> None:
    """Each batch has room for one sequence only, so they take turns."""
    embed = Recorder()
    await asyncio.gather(*(batcher.embed([[number]] * 20) for batcher in [Batcher(embed, batch_tokens=1)] for number in range(5)))
    turns = [batch[0][0] for batch in embed.batches]
    assert [sorted(turns[at : at + 5]) for at in range(0, 100, 5)] == [[0, 1, 2, 3, 4]] * 20


async def test_nobody_is_passed_over_by_those_who_come_and_go() -> None:
    """Requests of one full batch each keep coming; one that only fits a batch of its own must not wait for their end."""
    embed = Recorder(open_to_all=False)
    batcher = Batcher(embed, batch_tokens=10)
    fillers = [asyncio.create_task(batcher.embed([[1] * 10])) for _ in range(3)]
    late = asyncio.create_task(batcher.embed([[9] * 10]))
    for _ in range(8):
        await embed.running()
        fillers += [asyncio.create_task(batcher.embed([[1] * 10])) for _ in range(2)]
        await asyncio.sleep(0)
        embed.allow()
    embed.open_to_all = True
    embed.allow()
    await asyncio.gather(late, *fillers)
    assert [9] * 10 in [batch[0] for batch in embed.batches[:4]]


async def test_who_leaves_is_not_computed_for() -> None:
    embed = Recorder(open_to_all=False)
    batcher = Batcher(embed, batch_tokens=10)
    leaving = asyncio.create_task(batcher.embed([[1] * 10] * 100))
    await embed.running()
    staying = asyncio.create_task(batcher.embed([[2]]))
    await asyncio.sleep(0)
    leaving.cancel()
    embed.open_to_all = True
    embed.allow()
    assert (await asyncio.wait_for(staying, 5)).tolist() == [[2]]
    assert leaving.cancelled()
    assert len(embed.batches) == 2


async def test_a_failure_reaches_its_batch_and_no_other() -> None:
    batcher = Batcher(Recorder(), batch_tokens=2)
    first, second = await asyncio.gather(batcher.embed([[-1, -1]]), batcher.embed([[4, 4]]), return_exceptions=True)
    assert isinstance(first, ValueError)
    assert isinstance(second, np.ndarray)
    assert (await batcher.embed([[5]])).tolist() == [[5]]


@pytest.mark.parametrize("requests", [1, 7])
async def test_an_idle_batcher_starts_again(requests: int) -> None:
    batcher = Batcher(Recorder())
    for _ in range(3):
        rows = await asyncio.gather(*(batcher.embed([[number]]) for number in range(requests)))
        assert [row.item() for row in rows] == list(range(requests))
        await asyncio.sleep(0.005)
