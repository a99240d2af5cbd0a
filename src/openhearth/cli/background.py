"""An event loop in a thread of its own, so that a connection lives on while the main thread waits for the keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Runs coroutines for the main thread; Ctrl-C there cancels the one it waits for."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="openhearth-loop", daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result. An exception in the waiting thread (KeyboardInterrupt) cancels it, and goes on once it has ended."""
        outcome: Future[T] = Future()
        task = self._start(work, outcome)
        try:
            return outcome.result()
        except BaseException:
            if not outcome.done():
                self._loop.call_soon_threadsafe(task.cancel)
                outcome.exception()
            raise

    @contextmanager
    def held(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enter an async context and leave it again, both in one task of the loop."""
        stop = asyncio.Event()
        opened: Future[T] = Future()
        ended: Future[None] = Future()

        async def hold() -> None:
            async with context as value:
                opened.set_result(value)
                await stop.wait()

        def report(_ended: Future[None]) -> None:
            if not opened.done():
                opened.set_exception(ended.exception() or asyncio.CancelledError())

        task = self._start(hold(), ended)
        ended.add_done_callback(report)
        try:
            yield opened.result()
        finally:
            self._loop.call_soon_threadsafe(stop.set if opened.done() else task.cancel)
            failure = ended.exception()
        if failure is not None:
            raise failure

    def _start(self, work: Coroutine[Any, Any, T], outcome: Future[T]) -> asyncio.Task[None]:
        async def carry() -> None:
            try:
                result = await work
            except BaseException as error:
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

        async def begin() -> asyncio.Task[None]:
            return asyncio.get_running_loop().create_task(carry())

        return asyncio.run_coroutine_threadsafe(begin(), self._loop).result()
