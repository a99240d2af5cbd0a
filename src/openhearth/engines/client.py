"""Speaks HTTP to one engine: JSON in and out, server-sent events handed on in the bursts they come in. Retries nothing."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from openhearth.engines import failures
from openhearth.errors import EngineFailed, EngineTimeout, OpenHearthError

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

LARGEST_EVENT = 64 * 2**20
_COMPUTED = ("/completion", "/infill", "/v1/")
READ_SIZE = 2**18
LAST_NATIVE_EVENT = b'"stop":true'
"""llama.cpp's own `/completion` ends with this instead of `[DONE]`."""
ERROR_EVENTS = (b'{"error"', b'{"object":"error"', b'{"object": "error"')


class ConnectionBroke(EngineFailed):
    """Between two bytes. Why, the pool knows: the engine may have died, or been stopped."""


class HttpClient:
    """An `EngineClient` over a unix socket or a URL. Must be closed."""

    def __init__(
        self,
        base_url: str = "http://engine",
        *,
        socket: Path | None = None,
        key: str | None = None,
        stall_timeout_s: float = 120.0,
        connect_timeout_s: float = 5.0,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._socket = socket
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        self._stall_timeout_s = stall_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None
        self.computed = 0
        """Replies and bursts that took the model; a hung engine may still answer everything else."""

    async def post(self, path: str, body: bytes) -> bytes:
        """One reply's body. Raises the mapped error."""
        async with self._request("POST", path, body) as response:
            reply = await response.read()
        self.computed += path.startswith(_COMPUTED)
        return reply

    async def get(self, path: str) -> bytes:
        """The same without a body."""
        async with self._request("GET", path, None) as response:
            return await response.read()

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[list[bytes]]:
        """Bursts of `data:` payloads, up to `[DONE]`."""
        async with self._request("POST", path, body) as response:
            events = EventReader()
            while piece := await response.content.readany():
                self.computed += 1
                if payloads := events.feed(piece):
                    yield payloads
                if events.done:
                    return
            events.end()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _request(self, method: str, path: str, body: bytes | None) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        try:
            # A redirect could carry the key to another host.
            async with self._open().request(
                method, self._base_url + path, data=body, headers=self._headers, allow_redirects=False
            ) as response:
                if response.status >= 300:
                    raise failures.of_status(response.status, await response.read(), response.headers)
                yield response
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                raise EngineFailed("The engine can't be reached: no connection in time.") from None
            raise EngineTimeout(f"The engine sent nothing for {self._stall_timeout_s:g} seconds.") from None
        except aiohttp.ClientConnectorError as error:
            raise ConnectionBroke(f"The engine can't be reached: {unreachable(error)}.") from None
        except (aiohttp.ClientError, OSError) as error:
            log.debug("the connection to an engine broke: %s", type(error).__name__)
            raise ConnectionBroke("The connection to the engine broke.") from None
        except RuntimeError:
            # What aiohttp raises when its session was closed between two reads.
            if self._session and self._session.closed:
                raise ConnectionBroke("The connection to the engine was closed.") from None
            raise

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            if self._socket:
                # llama.cpp closes kept connections when it likes; a new one costs little on a unix socket.
                connector: aiohttp.BaseConnector = aiohttp.UnixConnector(str(self._socket), limit=0, force_close=True)
            else:
                connector = aiohttp.TCPConnector(limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout_s, sock_read=self._stall_timeout_s)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, read_bufsize=READ_SIZE, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def unreachable(error: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, without the address."""
    import aiohttp

    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError)):
        return "its certificate is not trusted, or it doesn't speak TLS"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    number = error.os_error.errno
    return os.strerror(number).lower() if number and number > 0 else "no connection"


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
        msgspec.json.decode(await asyncio.wait_for(client.get(path), 5))
    except (EngineFailed, EngineTimeout, TimeoutError, msgspec.DecodeError):
        return False
    except failures.NotReady:
        return False
    return True
