"""Micro-batching: sequences of requests that are there at the same time are embedded together, a fair share of each.

A request with a thousand sequences takes its turns beside one with a single sequence. Knows neither HTTP nor the model's kind.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Tensor = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

Embed = Callable[[Sequence[Sequence[int]]], "Tensor"]

BATCH_TOKENS = 512
"""Tokens of one batch, unless a single sequence is longer. Speed per token grows little beyond 128 of them, waiting grows on."""
WINDOW_S = 0.001
"""How long the first request of an idle engine waits for company."""


class _Request:
    """One request's sequences, its results as they come, and which are still to be started (longest last)."""

    def __init__(self, sequences: Sequence[Sequence[int]]) -> None:
        self.sequences = sequences
        # Neighbours in length share a batch, so that little is padded.
        self.left = sorted(range(len(sequences)), key=lambda number: len(sequences[number]))
        self.results: list[Any] = [None] * len(sequences)
        self.missing = len(sequences)
        self.done: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()


_Place = tuple[_Request, int]


class Batcher:
    """Runs `embed` in a thread of its own, one batch after the other. Lives in one event loop."""

    def __init__(self, embed: Embed, *, batch_tokens: int = BATCH_TOKENS, window_s: float = WINDOW_S) -> None:
        self._embed = embed
        self._batch_tokens = batch_tokens
        self._window_s = window_s
        self._waiting: deque[_Request] = deque()
        self._thread = ThreadPoolExecutor(1, "embed")
        self._running: asyncio.Task[None] | None = None

    async def embed(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """One row per sequence, in order. Cancelling it drops what has not begun."""
        import numpy as np

        request = _Request(sequences)
        self._waiting.append(request)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        try:
            return np.stack(await request.done)
        finally:
            with suppress(ValueError):
                self._waiting.remove(request)

    async def _run(self) -> None:
        await asyncio.sleep(self._window_s)
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = self._next()
            try:
                rows = await loop.run_in_executor(self._thread, self._embed, [request.sequences[at] for request, at in batch])
            except Exception as error:
                for request, _ in batch:
                    _fail(request, error)
                continue
            for (request, at), row in zip(batch, rows, strict=True):
                _store(request, at, row)

    def _next(self) -> list[_Place]:
        """A sequence of each request in turn, until the batch is full. Who comes first changes with every batch."""
        batch: list[_Place] = []
        first = self._waiting[0]
        room = self._batch_tokens
        open_requests = deque(self._waiting)
        while open_requests:
            request = open_requests.popleft()
            size = len(request.sequences[request.left[-1]])
            if batch and size > room:
                continue
            room -= size
            batch.append((request, request.left.pop()))
            if request.left:
                open_requests.append(request)
            else:
                self._waiting.remove(request)
        # Whoever had the first place and wants more goes to the end. Nobody else does, or it might never be first.
        if self._waiting and self._waiting[0] is first:
            self._waiting.rotate(-1)
        return batch


def _store(request: _Request, at: int, row: Any) -> None:
    request.results[at] = row
    request.missing -= 1
    if not request.missing and not request.done.done():
        request.done.set_result(request.results)


def _fail(request: _Request, error: Exception) -> None:
    if not request.done.done():
        request.done.set_exception(error)
