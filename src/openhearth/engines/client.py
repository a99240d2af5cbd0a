"""Speaks HTTP to one engine: JSON in and out, server-sent events handed on in the bursts they come in. Retries nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from openhearth.engines import failures
from openhearth.engines.http import ConnectionBroken, Connections, ConnectionsClosed, ConnectTimeout, Reply, Silence, Target
from openhearth.errors import EngineFailed, EngineTimeout, OpenHearthError

LARGEST_EVENT = 64 * 2**20
_COMPUTED = ("/completion", "/infill", "/v1/")
SETTLE_S = 0.05
LAST_NATIVE_EVENT = b'"stop":true'
"""llama.cpp's own `/completion` ends with this instead of `[DONE]`."""
_DATA, _BETWEEN = b"data: ", b"\n\n"
ERROR_EVENTS = (b'{"error"', b'{"object":"error"', b'{"object": "error"')


class ConnectionBroke(EngineFailed):
    """Between two bytes. Why, the pool knows: the engine may have died, or been stopped."""


class HttpClient:
    """An `EngineClient` over a unix socket or a URL. `keeps`: connections are used again. Must be closed."""

    def __init__(
        self,
        base_url: str = "http://engine",
        *,
        path: Path | None = None,
        key: str | None = None,
        stall_timeout_s: float = 120.0,
        connect_timeout_s: float = 5.0,
        keeps: bool = True,
    ) -> None:
        target = Target.of(base_url.rstrip("/"), path)
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        self._connections = Connections(target, headers, connect_timeout_s=connect_timeout_s, keeps=keeps)
        self._stall_timeout_s = stall_timeout_s
        self.computed = 0
        """Replies and bursts that took the model; a hung engine may still answer everything else."""

    async def post(self, path: str, body: bytes) -> bytes:
        """One reply's body. Raises the mapped error."""
        reply = await self._whole("POST", path, body)
        self.computed += path.startswith(_COMPUTED)
        return reply

    async def get(self, path: str) -> bytes:
        """The same without a body."""
        return await self._whole("GET", path, None)

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[list[bytes]]:
        """Bursts of `data:` payloads, up to `[DONE]`."""
        with self._mapping():
            async with await self._request("POST", path, body) as reply:
                events = EventReader()
                while not events.done and (piece := await reply.piece()):
                    self.computed += 1
                    if payloads := events.feed(piece):
                        yield payloads
                if not events.done:
                    events.end()
                elif not reply.ended:
                    await settle(reply)

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()

    async def _whole(self, method: str, path: str, body: bytes | None) -> bytes:
        with self._mapping():
            async with await self._request(method, path, body) as reply:
                return await reply.read()

    async def _request(self, method: str, path: str, body: bytes | None) -> Reply:
        reply = await self._connections.ask(method, path, body, silence_s=self._stall_timeout_s)
        if reply.status >= 300:
            async with reply:
                raise failures.of_status(reply.status, await reply.read(), reply.headers)
        return reply

    @contextmanager
    def _mapping(self) -> Iterator[None]:
        """Around everything that waits for the engine."""
        try:
            yield
        except ConnectTimeout:
            raise EngineFailed("The engine can't be reached: no connection in time.") from None
        except Silence:
            raise EngineTimeout(f"The engine sent nothing for {self._stall_timeout_s:g} seconds.") from None
        except ConnectionsClosed:
            raise ConnectionBroke("The connection to the engine was closed.") from None
        except ConnectionBroken:
            raise ConnectionBroke("The connection to the engine broke.") from None
        except OSError as error:
            raise ConnectionBroke(f"The engine can't be reached: {unreachable(error)}.") from None


async def settle(reply: Reply) -> None:
    """Read to the reply's end, which mostly is there already: then the connection can be used again."""
    with suppress(TimeoutError, ConnectionBroken, ConnectionsClosed):
        async with asyncio.timeout(SETTLE_S):
            while await reply.piece():
                pass


def unreachable(error: OSError) -> str:
    """Why there is no connection, without the address."""
    if isinstance(error, ssl.SSLError):
        return "its certificate is not trusted, or it doesn't speak TLS"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else "no connection"


class EventReader:
    """Takes a stream's bytes as they come, gives the `data:` payloads of the events that are whole."""

    def __init__(self, error: Callable[[bytes], OpenHearthError] = failures.of_event, *, largest: int = LARGEST_EVENT) -> None:
        self._error = error
        self._largest = largest
        self._rest = self._last = b""
        self.done = False
        """Whether `[DONE]` came; nothing after it counts."""

    def feed(self, piece: bytes) -> list[bytes]:
        """The payloads that are ready. Raises the error of an error event, and EngineFailed for an event that is too large."""
        if plain := self._plain(piece):
            self._last = plain[-1]
            return plain
        *events, self._rest = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
        if len(self._rest) > self._largest:
            raise EngineFailed("The engine sent an event without end.")
        payloads: list[bytes] = []
        for event in events:
            payload = event[6:] if event.startswith(b"data: ") and b"\n" not in event else _data(event)
            if payload == b"[DONE]":
                self.done = True
                break
            if payload.startswith(ERROR_EVENTS):
                raise self._error(payload)
            if payload:
                payloads.append(payload)
        if payloads:
            self._last = payloads[-1]
        return payloads

    def _plain(self, piece: bytes) -> list[bytes]:
        """The payloads if everything that is ready is one-line events without an error or an end among them: most bursts. Else nothing."""
        text = self._rest + piece
        end = text.rfind(_BETWEEN)
        ready = text[len(_DATA) : end]
        if end < 0 or not text.startswith(_DATA) or b"\r" in text or b'"error"' in ready or b"[DONE]" in ready:
            return []
        payloads = ready.split(_BETWEEN + _DATA)
        # Any other line break belongs to something else than a payload.
        if ready.count(b"\n") != 2 * (len(payloads) - 1) or b"" in payloads or len(text) - end > self._largest:
            return []
        self._rest = text[end + len(_BETWEEN) :]
        return payloads

    def end(self) -> None:
        """The connection ended. Raises EngineFailed if the answer didn't."""
        self.feed(b"\n\n")
        if not self.done and LAST_NATIVE_EVENT not in self._last:
            raise ConnectionBroke("The engine broke off its answer.")


def _data(event: bytes) -> bytes:
    """The data of an event that isn't one plain line: comments, other fields, `error:` lines of llama.cpp."""
    data = []
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"error":
            return b'{"error":' + value + b"}"
    return b"\n".join(data)


async def answers(client: HttpClient, path: str) -> bool:
    """Whether the engine answers this probe now."""
    try:
        # Not `wait_for`: where its time is up or its work done just then, Python 3.11 forgets that it was cancelled.
        async with asyncio.timeout(5):
            msgspec.json.decode(await client.get(path))
    except (EngineFailed, EngineTimeout, TimeoutError, msgspec.DecodeError):
        return False
    except failures.NotReady:
        return False
    return True
