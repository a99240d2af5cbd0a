"""What every generating handler shares: streams side by side, seeds, a fingerprint, stop sequences found by the gateway.

Knows nothing of chat or completions, and starts no engine.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from openhearth.engines.contract import EngineSpec

T = TypeVar("T")
Job = Callable[[], AsyncIterator[T]]

_AHEAD = 64
"""Items an engine may be ahead of a slow client."""


async def lanes(jobs: Sequence[Job[T]], width: int) -> AsyncGenerator[list[tuple[int, T]], None]:
    """Run the streams, at most `width` at a time, and yield what is ready together as `(index of the job, item)`.

    A job starts when one before it ends. The first error ends all; so does closing this iterator, and every stream is closed then.
    """
    if len(jobs) == 1:
        async with aclosing(_closable(jobs[0]())) as stream:
            async for item in stream:
                yield [(0, item)]
        return
    ready: asyncio.Queue[tuple[int, T] | None] = asyncio.Queue(_AHEAD)
    waiting = iter(enumerate(jobs))
    workers = [asyncio.ensure_future(_work(waiting, ready)) for _ in range(min(width, len(jobs)))]
    everything = asyncio.ensure_future(_until_done(workers, ready))
    try:
        while batch := await _drain(ready):
            yield batch
        await everything
    finally:
        for worker in (*workers, everything):
            worker.cancel()
        await asyncio.gather(*workers, everything, return_exceptions=True)


async def _work(waiting: Iterator[tuple[int, Job[T]]], ready: asyncio.Queue[tuple[int, T] | None]) -> None:
    for index, job in waiting:
        async with aclosing(_closable(job())) as stream:
            async for item in stream:
                await ready.put((index, item))


async def _until_done(workers: Sequence[asyncio.Future[None]], ready: asyncio.Queue[tuple[int, T] | None]) -> None:
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await ready.put(None)


async def _drain(ready: asyncio.Queue[tuple[int, T] | None]) -> list[tuple[int, T]]:
    """Wait for one item, take all that lie there. Empty: the end."""
    batch: list[tuple[int, T]] = []
    item = await ready.get()
    while item is not None:
        batch.append(item)
        if ready.empty():
            break
        item = ready.get_nowait()
    else:
        if batch:
            ready.put_nowait(None)
    return batch


async def _closable(stream: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """The stream as a generator, so that it has an `aclose` that reaches the source."""
    try:
        async for item in stream:
            yield item
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def seeds(seed: int | None, count: int) -> list[int]:
    """`count` distinct seeds for one request's choices, the same for the same `seed`; consecutive, as the engine counts on from the first.

    Neighbouring `seed`s give seeds far apart. Each is in 0..2**32-2: the last 32-bit number means "random" to llama.cpp.
    """
    if seed is None:
        first = secrets.randbelow(2**32 - 1 - count)
    else:
        digest = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
        first = int.from_bytes(digest, "little") % (2**32 - 1 - count)
    return list(range(first, first + count))


def fingerprint(spec: EngineSpec) -> str:
    """`system_fingerprint`: changes with our version, the model's file or how it is run."""
    return f"fp_{spec.digest}"


class StopScanner(Generic[T]):
    """Finds stop sequences in text that comes in pieces, each with something belonging to it (a log-probability).

    Needed where the engine must not do it: it holds back, and then loses, the log-probabilities of text that might begin a stop sequence.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held: list[tuple[str, T]] = []
        self.stopped = False

    def feed(self, text: str, item: T) -> list[tuple[str, T]]:
        """The pieces that are safe to give out now. After a stop sequence `stopped` is true, and what precedes it was given out."""
        if self.stopped:
            return []
        self._held.append((text, item))
        tail = "".join(piece for piece, _ in self._held)
        found = [at for stop in self._stops if (at := tail.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._cut(min(found))
        return self._release(len(tail) - self._possible(tail))

    def rest(self) -> list[tuple[str, T]]:
        """What was held when the text ended without a stop sequence."""
        held, self._held = self._held, []
        return held

    def _possible(self, tail: str) -> int:
        """Length of the longest end of `tail` that begins a stop sequence."""
        longest = min(len(tail), max(map(len, self._stops), default=1) - 1)
        return next((n for n in range(longest, 0, -1) if any(stop.startswith(tail[-n:]) for stop in self._stops)), 0)

    def _release(self, safe: int) -> list[tuple[str, T]]:
        out: list[tuple[str, T]] = []
        while self._held and len(self._held[0][0]) <= safe:
            safe -= len(self._held[0][0])
            out.append(self._held.pop(0))
        return out

    def _cut(self, at: int) -> list[tuple[str, T]]:
        """Pieces before character `at`; the one that straddles it is shortened, later ones are dropped."""
        out: list[tuple[str, T]] = []
        for text, item in self._held:
            if at <= 0:
                break
            out.append((text[:at], item))
            at -= len(text)
        self._held = []
        return out
