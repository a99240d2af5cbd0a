"""Trying again: how often, after how long, and what counts as progress; waiting for threads. Knows nothing of what is done."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from openhearth.errors import DownloadFailed

PROGRESS_BYTES = 1 << 20
"""So many new bytes make a retry count as a fresh start."""
T = TypeVar("T")


class Unreachable(DownloadFailed):
    """Nobody answered there, and it was given up."""


class Interrupted(DownloadFailed):
    """It may go well when tried again. `after_s`: the server asked to wait so long."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


class NobodyThere(Interrupted):
    """The name is not found, or nothing answers there. A moment later it seldom is otherwise, so this is tried again less."""


@dataclass(frozen=True)
class Patience:
    """How long is waited, and how often tried again."""

    attempts: int = 6
    """In a row, without any progress."""
    attempts_unmet: int = 2
    """In a row, where nobody has answered yet."""
    stall_s: float = 60.0
    """A server that sends nothing for so long has broken off."""
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0


class Attempts:
    """Counts the attempts that brought nothing, and waits ever longer between them."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failures = 0
        self._furthest = 0
        self._met = False

    async def after(self, error: Interrupted, reached: int = 0) -> None:
        """Wait before the next attempt. `reached`: the bytes held; raises DownloadFailed (Unreachable) when it is enough."""
        if reached >= self._furthest + PROGRESS_BYTES:
            self._failures, self._furthest = 0, reached
        self._failures += 1
        self._met = self._met or not isinstance(error, NobodyThere)
        if self._failures >= (self._patience.attempts if self._met else min(self._patience.attempts, self._patience.attempts_unmet)):
            kept = " What has arrived is kept." if reached else ""
            tried = f" Given up after {self._failures} attempts." if self._failures > 1 else ""
            kind = Unreachable if isinstance(error, NobodyThere) else DownloadFailed
            raise kind(f"{error.message}{tried}{kept}") from None
        wait = min(self._patience.first_wait_s * 2**self._failures, self._patience.longest_wait_s) * random.uniform(0.5, 1)  # noqa: S311
        await asyncio.sleep(max(wait, min(error.after_s or 0, self._patience.longest_wait_s)))


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread. Cancelled, it first waits until the work has ended: its files are not free before."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def patiently(patience: Patience, ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` returns, asked again while it is interrupted."""
    attempts = Attempts(patience)
    while True:
        try:
            return await ask()
        except Interrupted as error:
            await attempts.after(error)
