"""A client that leaves before its answer is there: what works for it is cancelled, wherever it is."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import cast

from starlette.types import Receive

LOOKS_AFTER_S = 0.02
"""An answer that is there sooner is not worth a task that listens."""


class ClientGone(Exception):
    """The client closed the connection; there is nobody to answer."""


class UnlessClientLeaves:
    """`async with` around the work. Cancels the task that entered when the client leaves, and raises ClientGone then.

    The body must have been read before.
    """

    __slots__ = ("_gone", "_listening", "_receive", "_timer", "_work")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._listening: asyncio.Task[None] | None = None
        self._gone = False

    async def __aenter__(self) -> None:
        self._work = cast("asyncio.Task[None]", asyncio.current_task())
        self._timer = asyncio.get_running_loop().call_later(LOOKS_AFTER_S, self._begin)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        if self._listening is not None:
            self._listening.cancel()
        # Who else cancels this task (the server stops) is not answered with ClientGone.
        if self._gone and not self._work.uncancel():
            raise ClientGone from None

    def _begin(self) -> None:
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._work.cancel()
