"""Speaks to one upstream server: an `EngineClient` that tries again while nothing came back, and never once something did.

Bodies go on as they are given; naming the upstream's model in them is the caller's work. Follows no redirect.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openhearth.engines.client import READ_SIZE, ConnectionBroke, EventReader, unreachable
from openhearth.engines.upstream import refusals
from openhearth.engines.upstream.address import Address
from openhearth.engines.upstream.circuit import Circuit
from openhearth.engines.upstream.refusals import UpstreamTimeout
from openhearth.errors import EngineFailed, EngineUnavailable, ModelNotFound, OpenHearthError

if TYPE_CHECKING:
    import aiohttp

LARGEST_REPLY = 128 * 2**20
LARGEST_EVENT = 16 * 2**20
LARGEST_REFUSAL = 2**16
REFUSAL_S = 10.0
PROBE_S = 5.0
SETTLE_S = 0.05
FIRST_BACK_OFF_S = 0.5
LONGEST_BACK_OFF_S = 8.0
LONGEST_WAIT_S = 10.0
"""A server that asks for more patience than this is not waited for; the client is told how long."""
CLOSED = "The connections to the upstream server were closed."
AGAIN = (408, 429, 502, 503, 504)
DOWN = (502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How long, and how often."""

    timeout_s: float = 600.0
    """Silence in a stream; a whole reply otherwise. For each try."""
    connect_timeout_s: float = 5.0
    retries: int = 2


class Setback(Exception):
    """A try that may be repeated. `error` is what to raise if it isn't; `wait_s` is how long the server asked to wait."""

    def __init__(self, error: OpenHearthError, wait_s: float | None = None) -> None:
        super().__init__()
        self.error = error
        self.wait_s = wait_s


class UpstreamClient:
    """For one model, over connections of its own. Must be closed."""

    def __init__(self, address: Address, circuit: Circuit, patience: Patience, name: str | None = None) -> None:
        """`name` is what the model is called here, for errors."""
        self._name = name
        self._address = address
        self._circuit = circuit
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: bytes) -> bytes:
        """One reply's body."""
        return await self._whole("POST", path, body)

    async def get(self, path: str) -> bytes:
        """The same without a body."""
        return await self._whole("GET", path, None)

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[list[bytes]]:
        """Bursts of `data:` payloads, up to `[DONE]`."""
        async with await self._answer("POST", path, body, streams=True) as response:
            events = EventReader(lambda payload: self._in_our_words(refusals.of_event(self._address, payload)), largest=LARGEST_EVENT)
            with self._reading():
                if response.content_type == "application/json":
                    raise await self._not_a_stream(response)
                while not events.done and (piece := await response.content.readany()):
                    if payloads := events.feed(piece):
                        yield payloads
            if events.done:
                await _settle(response)
            else:
                events.end()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _whole(self, method: str, path: str, body: bytes | None) -> bytes:
        async with await self._answer(method, path, body) as response:
            with self._reading():
                reply = await _read(response, LARGEST_REPLY)
        if len(reply) > LARGEST_REPLY:
            raise EngineFailed(f"The upstream server {self._address.shown} sent more than {LARGEST_REPLY >> 20} MiB.")
        return reply

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Around the reading of a reply that has begun."""
        import aiohttp

        try:
            yield
        except TimeoutError:
            raise self._late() from None
        except (aiohttp.ClientError, OSError):
            raise EngineFailed(f"The upstream server {self._address.shown} broke off its answer.") from None
        except RuntimeError:
            # What aiohttp raises when its session was closed between two reads.
            if self._session and self._session.closed:
                raise ConnectionBroke(CLOSED) from None
            raise

    async def _answer(self, method: str, path: str, body: bytes | None, *, streams: bool = False) -> aiohttp.ClientResponse:
        """The beginning of a good reply, after as many tries as it takes or patience allows."""
        url = self._address.url(path)
        for attempt in range(self._patience.retries + 1):
            try:
                if self._circuit.admit():
                    await self._probe()
                return await self._try(method, url, body, self._limits(streams))
            except Setback as setback:
                wait_s = _wait_s(attempt, setback.wait_s)
                if attempt == self._patience.retries or wait_s > LONGEST_WAIT_S:
                    raise setback.error from None
                await asyncio.sleep(wait_s)
        raise AssertionError("unreachable")

    async def _probe(self) -> None:
        """Ask the server something small first: a whole answer may take minutes, and all others are sent away meanwhile."""
        import aiohttp

        limits = aiohttp.ClientTimeout(total=PROBE_S, connect=self._patience.connect_timeout_s)
        with self._circuit.probe(), suppress(OpenHearthError):
            (await self._try("GET", self._address.url("/v1/models"), None, limits)).close()

    async def _try(self, method: str, url: str, body: bytes | None, limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """One try. Raises Setback where another one may help, the mapped error where not."""
        import aiohttp

        try:
            # A redirect could carry the key to another host.
            response = await self._open().request(
                method, url, data=body, headers=self._address.headers, timeout=limits, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._nothing(error, limits) from None
        if response.status in DOWN:
            self._circuit.failed(f"it answers with status {response.status}")
        else:
            self._circuit.answered()
        if response.status >= 300:
            async with response:
                raise await self._refusal(response)
        if response.content_type == "text/html":
            response.close()
            raise EngineFailed(
                f"The upstream server {self._address.shown} answers with a web page; base_url is wrong, or it lacks its /v1."
            )
        return response

    def _nothing(self, error: Exception, limits: aiohttp.ClientTimeout) -> Setback:
        """No byte of a reply came."""
        import aiohttp

        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
            self._circuit.failed("it does not answer")
            return Setback(self._late(limits.total or limits.sock_read))
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            reason = "no connection in time"
        elif isinstance(error, aiohttp.ClientConnectorError):
            reason = unreachable(error)
        else:
            reason = "the connection broke"
        self._circuit.failed(f"it can't be reached ({reason})")
        return Setback(EngineUnavailable(f"The upstream server {self._address.shown} can't be reached: {reason}."))

    async def _refusal(self, response: aiohttp.ClientResponse) -> Setback | OpenHearthError:
        import aiohttp

        body = b""
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(REFUSAL_S):
                body = await _read(response, LARGEST_REFUSAL)
        error = self._in_our_words(refusals.of_status(self._address, response.status, body, response.headers))
        again = response.status in AGAIN and error.code != refusals.NO_CREDIT
        return Setback(error, refusals.retry_after_s(response.headers)) if again else error

    async def _not_a_stream(self, response: aiohttp.ClientResponse) -> OpenHearthError:
        """Some put an error into a good reply; others don't know streams."""
        body = await _read(response, LARGEST_REFUSAL)
        if refusals.read(self._address, body).message:
            return self._in_our_words(refusals.of_event(self._address, body))
        return EngineFailed(f"The upstream server {self._address.shown} does not stream.")

    def _in_our_words(self, error: OpenHearthError) -> OpenHearthError:
        """The server knows the model by another name than our client does."""
        if isinstance(error, ModelNotFound) and self._name:
            return ModelNotFound(f"'{self._name}' is not there: the upstream server says: {error.message}", param=error.param)
        return error

    def _late(self, seconds: float | None = None) -> UpstreamTimeout:
        return UpstreamTimeout(
            f"The upstream server {self._address.shown} sent nothing for {seconds or self._patience.timeout_s:g} seconds."
        )

    def _limits(self, streams: bool) -> aiohttp.ClientTimeout:
        import aiohttp

        silence_s = self._patience.timeout_s
        return aiohttp.ClientTimeout(
            total=None if streams else silence_s, connect=self._patience.connect_timeout_s, sock_read=silence_s if streams else None
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is not None and self._session.closed:
            raise ConnectionBroke(CLOSED)
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), read_bufsize=READ_SIZE, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def _wait_s(attempt: int, asked_s: float | None) -> float:
    """Full jitter; what the server asks for is the least."""
    back_off_s = random.uniform(0, min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0**attempt))  # noqa: S311
    return back_off_s if asked_s is None else asked_s + back_off_s


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body; of one that is larger than `most`, a little more than that."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            break
    return b"".join(pieces)


async def _settle(response: aiohttp.ClientResponse) -> None:
    """Read to the reply's end, which mostly is there already: then the connection can be used again."""
    import aiohttp

    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(SETTLE_S):
            while await response.content.readany():
                pass
