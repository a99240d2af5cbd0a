"""One reply as it comes in: its head, then its body in the pieces that the network makes."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openhearth.engines.http.connections import Connection

READ_SIZE = 2**18
LARGEST_HEAD = 2**16


class ConnectionBroken(Exception):
    """The connection ended before the reply did, or what came is no HTTP."""


class ConnectionsClosed(Exception):
    """We closed it ourselves."""


class Silence(TimeoutError):
    """Nothing came for as long as was to be waited."""


class Reply:
    """One reply as it comes in. Must be closed: `async with`."""

    __slots__ = (
        "_connection",
        "_ended",
        "_failed",
        "_head_size",
        "_heard",
        "_keeps",
        "_names",
        "_paused",
        "_pieces",
        "_silence_s",
        "_size",
        "_timer",
        "_whole_within",
        "_woken",
        "headers",
        "status",
    )

    def __init__(self, connection: Connection, silence_s: float | None, *, whole_within: bool) -> None:
        self.status = 0
        """0: the head isn't there yet."""
        self.headers: dict[str, str] = {}
        """Names in small letters."""
        self._names: dict[str, str] = {}
        self._connection = connection
        self._pieces: list[bytes] = []
        self._size = self._head_size = 0
        self._ended = self._keeps = self._paused = False
        self._failed: Exception | None = None
        self._woken: asyncio.Future[None] | None = None
        self._silence_s, self._whole_within = silence_s, whole_within
        self._heard = connection.loop.time()
        self._timer = connection.loop.call_later(silence_s, self._look) if silence_s else None

    @property
    def content_type(self) -> str:
        """Without parameters; empty if it isn't told."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def ended(self) -> bool:
        """Whether all of it is here."""
        return self._ended and not self._pieces

    async def piece(self) -> bytes:
        """What came since the last call, at least a byte; empty at the end. Raises ConnectionBroken, ConnectionsClosed, Silence."""
        while not self._pieces:
            if self._failed is not None:
                raise self._failed
            if self._ended:
                return b""
            await self._change()
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._connection.transport.resume_reading()
        return piece

    async def read(self, most: int | None = None) -> bytes:
        """The body; of one that is larger than `most`, a little more than that."""
        read = await self.piece()
        if self.ended:
            return read
        pieces, size = [read], len(read)
        while (most is None or size <= most) and (piece := await self.piece()):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Give the connection back, or break it if the reply hasn't ended."""
        if self._timer is not None:
            self._timer.cancel()
        if self._connection.reply is self:
            self._connection.release(reusable=self._ended and self._keeps)

    async def __aenter__(self) -> Reply:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def begun(self) -> None:
        """Wait for status and headers."""
        while not self.status:
            if self._failed is not None:
                raise self._failed
            await self._change()

    async def _change(self) -> None:
        self._woken = self._connection.loop.create_future()
        try:
            await self._woken
        finally:
            self._woken = None

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _look(self) -> None:
        """Whether it has been silent too long. Who reads slowly makes it silent himself."""
        silent_s = 0.0 if self._paused else self._connection.loop.time() - self._heard
        left_s = 0.0 if self._whole_within or self._silence_s is None else self._silence_s - silent_s
        if left_s > 0:
            self._timer = self._connection.loop.call_later(left_s, self._look)
        else:
            self.fail(Silence())

    def fail(self, error: Exception) -> None:
        """It will not be completed."""
        if not self._ended and self._failed is None:
            self._failed = error
            self._wake()

    def cut(self) -> None:
        """The connection ended; so does a body that has no other end."""
        if self.status and "content-length" not in self.headers and "chunked" not in self.headers.get("transfer-encoding", "").lower():
            self._ended = True
            self._wake()
        self.fail(ConnectionBroken())

    def heard(self) -> None:
        """More came, and was parsed."""
        self._heard = self._connection.loop.time()
        if self._size > READ_SIZE and not self._paused:
            self._paused = True
            self._connection.transport.pause_reading()
        self._wake()

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if self._head_size > LARGEST_HEAD:
            raise ConnectionBroken
        self._names[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._connection.parser.get_status_code()
        if status >= 200:
            self.status, self.headers = status, self._names
        self._names = {}

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)

    def on_message_complete(self) -> None:
        # 1xx is followed by the real reply.
        if self.status:
            self._ended = True
            self._keeps = self._connection.parser.should_keep_alive()
