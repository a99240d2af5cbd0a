"""What all generating handlers share: lanes, seeds, fingerprints, stop sequences."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhearth.engines.contract import EngineSpec
from openhearth.inference.generation import StopScanner, fingerprint, lanes, seeds


class Source:
    """Counting streams, and how many run at the same time."""

    def __init__(self) -> None:
        self.running = self.most = self.closed = 0

    def job(self, items: int, *, fails: bool = False) -> Callable[[], AsyncIterator[int]]:
        async def stream() -> AsyncIterator[int]:
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                for item in range(items):
                    await asyncio.sleep(0)
                    yield item
                if fails:
                    raise ValueError("as asked")
            finally:
                self.running -= 1
                self.closed += 1

        return stream


async def collected(batches: AsyncIterator[list[tuple[int, int]]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    async for batch in batches:
        assert batch
        for index, item in batch:
            found.setdefault(index, []).append(item)
    return found


@pytest.mark.parametrize(("jobs", "width"), [(1, 1), (1, 4), (5, 1), (5, 2), (5, 9), (130, 3)])
async def test_lanes_give_all_items_in_order_and_keep_their_width(jobs: int, width: int) -> None:
    source = Source()
    found = await collected(lanes([source.job(number % 7 + 1) for number in range(jobs)], width))
    assert found == {number: list(range(number % 7 + 1)) for number in range(jobs)}
    assert source.most <= width
    assert source.closed == jobs


async def test_an_error_ends_all_lanes_and_closes_their_streams() -> None:
    source = Source()
    with pytest.raises(ValueError, match="as asked"):
        await collected(lanes([source.job(10_000), source.job(2, fails=True), source.job(10_000)], 3))
    assert source.running == 0


async def test_leaving_early_closes_every_stream() -> None:
    source = Source()
    batches = lanes([source.job(10_000), source.job(10_000)], 2)
    async for _ in batches:
        break
    await batches.aclose()
    assert source.running == 0
    assert source.closed == 2


def test_seeds_are_distinct_repeatable_and_never_the_random_one() -> None:
    assert seeds(7, 5) == seeds(7, 5)
    assert len(set(seeds(7, 128))) == 128
    assert not set(seeds(7, 5)) & set(seeds(8, 5))
    assert seeds(None, 3) != seeds(None, 3)
    assert all(0 <= seed < 2**32 - 1 for given in (-(2**63), 0, 2**63 - 1) for seed in seeds(given, 128))


def test_a_fingerprint_follows_the_model_and_how_it_runs_but_not_the_key() -> None:
    spec = EngineSpec("a", "llama", Path("/a.gguf"), {"context": 2048})
    assert fingerprint(spec) == fingerprint(EngineSpec("a", "llama", Path("/a.gguf"), {"context": 2048}))
    assert fingerprint(spec) != fingerprint(EngineSpec("a", "llama", Path("/a.gguf"), {"context": 4096}))
    assert fingerprint(EngineSpec("a", "upstream", None, {"api_key": "x"})) == fingerprint(
        EngineSpec("a", "upstream", None, {"api_key": "y"})
    )


def scan(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    scanner = StopScanner[int](stops)
    out: list[tuple[str, int]] = []
    for number, piece in enumerate(pieces):
        out += scanner.feed(piece, number)
    if not scanner.stopped:
        out += scanner.rest()
    assert [number for _, number in out] == sorted({number for _, number in out})
    return "".join(text for text, _ in out), scanner.stopped


@given(st.lists(st.text("ab ", max_size=3), max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_the_text_ends_before_the_first_stop_sequence_however_it_is_cut(pieces: list[str], stops: list[str]) -> None:
    text, stopped = scan(pieces, stops)
    whole = "".join(pieces)
    ends = [end for end in range(len(whole) + 1) if any(whole[:end].endswith(stop) for stop in stops)]
    if not ends:
        assert (text, stopped) == (whole, False)
    else:
        assert stopped
        assert whole.startswith(text)
        assert not any(stop in text for stop in stops)


def test_a_piece_is_given_out_as_soon_as_it_can_begin_no_stop_sequence() -> None:
    scanner = StopScanner[int](["END"])
    assert scanner.feed("the E", 1) == []
    assert scanner.feed("N", 2) == []
    assert scanner.feed("VY", 3) == [("the E", 1), ("N", 2), ("VY", 3)]
    assert scanner.feed("x END of", 4) == [("x ", 4)]
    assert scanner.feed("more", 5) == []
