"""Speaks to one upstream server: an `EngineClient` that tries again while nothing came back, and never once something did.

Bodies go on as they are given; naming the upstream's model in them is the caller's work. Follows no redirect.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from openhearth.engines.client import ConnectionBroke, EventReader, settle, unreachable
from openhearth.engines.http import ConnectionBroken, Connections, ConnectionsClosed, ConnectTimeout, Reply, Silence, Target
from openhearth.engines.upstream import refusals
from openhearth.engines.upstream.address import Address
from openhearth.engines.upstream.circuit import Circuit
from openhearth.engines.upstream.refusals import UpstreamTimeout
from openhearth.errors import EngineFailed, EngineUnavailable, ModelNotFound, OpenHearthError

LARGEST_REPLY = 128 * 2**20
LARGEST_EVENT = 16 * 2**20
LARGEST_REFUSAL = 2**16
REFUSAL_S = 10.0
PROBE_S = 5.0
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
        self._connections = Connections(Target.of(address.base_url), address.headers, connect_timeout_s=patience.connect_timeout_s)

    async def post(self, path: str, body: bytes) -> bytes:
        """One reply's body."""
        return await self._whole("POST", path, body)

    async def get(self, path: str) -> bytes:
        """The same without a body."""
        return await self._whole("GET", path, None)

    async def stream(self, path: str, body: bytes) -> AsyncGenerator[list[bytes]]:
        """Bursts of `data:` payloads, up to `[DONE]`."""
        async with await self._answer("POST", path, body, streams=True) as reply:
            events = EventReader(lambda payload: self._in_our_words(refusals.of_event(self._address, payload)), largest=LARGEST_EVENT)
            with self._reading():
                if reply.content_type == "application/json":
                    raise await self._not_a_stream(reply)
                while not events.done and (piece := await reply.piece()):
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
        async with await self._answer(method, path, body) as reply:
            with self._reading():
                read = await reply.read(LARGEST_REPLY)
        if len(read) > LARGEST_REPLY:
            raise EngineFailed(f"The upstream server {self._address.shown} sent more than {LARGEST_REPLY >> 20} MiB.")
        return read

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Around the reading of a reply that has begun."""
        try:
            yield
        except Silence:
            raise self._late() from None
        except ConnectionBroken:
            raise EngineFailed(f"The upstream server {self._address.shown} broke off its answer.") from None
        except ConnectionsClosed:
            raise ConnectionBroke(CLOSED) from None

    async def _answer(self, method: str, path: str, body: bytes | None, *, streams: bool = False) -> Reply:
        """The beginning of a good reply, after as many tries as it takes or patience allows."""
        url = self._address.path(path)
        for attempt in range(self._patience.retries + 1):
            try:
                if self._circuit.admit():
                    await self._probe()
                return await self._try(method, url, body, self._patience.timeout_s, streams=streams)
            except Setback as setback:
                wait_s = _wait_s(attempt, setback.wait_s)
                if attempt == self._patience.retries or wait_s > LONGEST_WAIT_S:
                    raise setback.error from None
                await asyncio.sleep(wait_s)
        raise AssertionError("unreachable")

    async def _probe(self) -> None:
        """Ask the server something small first: a whole answer may take minutes, and all others are sent away meanwhile."""
        with self._circuit.probe(), suppress(OpenHearthError):
            (await self._try("GET", self._address.path("/v1/models"), None, PROBE_S)).close()

    async def _try(self, method: str, path: str, body: bytes | None, timeout_s: float, *, streams: bool = False) -> Reply:
        """One try. Raises Setback where another one may help, the mapped error where not."""
        try:
            reply = await self._connections.ask(method, path, body, silence_s=timeout_s, whole_within=not streams)
        except ConnectionsClosed:
            raise ConnectionBroke(CLOSED) from None
        except (ConnectionBroken, OSError) as error:
            raise self._nothing(error, timeout_s) from None
        if reply.status in DOWN:
            self._circuit.failed(f"it answers with status {reply.status}")
        else:
            self._circuit.answered()
        if reply.status >= 300:
            async with reply:
                raise await self._refusal(reply)
        if unfit := _unfit(reply):
            reply.close()
            raise EngineFailed(f"The upstream server {self._address.shown} {unfit}")
        return reply

    def _nothing(self, error: Exception, timeout_s: float) -> Setback:
        """No byte of a reply came."""
        if isinstance(error, Silence):
            self._circuit.failed("it does not answer")
            return Setback(self._late(timeout_s))
        if isinstance(error, ConnectTimeout):
            reason = "no connection in time"
        elif isinstance(error, OSError):
            reason = unreachable(error)
        else:
            reason = "the connection broke"
        self._circuit.failed(f"it can't be reached ({reason})")
        return Setback(EngineUnavailable(f"The upstream server {self._address.shown} can't be reached: {reason}."))

    async def _refusal(self, reply: Reply) -> Setback | OpenHearthError:
        body = b""
        with suppress(TimeoutError, ConnectionBroken, ConnectionsClosed):
            async with asyncio.timeout(REFUSAL_S):
                body = await reply.read(LARGEST_REFUSAL)
        error = self._in_our_words(refusals.of_status(self._address, reply.status, body, reply.headers))
        again = reply.status in AGAIN and error.code != refusals.NO_CREDIT
        return Setback(error, refusals.retry_after_s(reply.headers)) if again else error

    async def _not_a_stream(self, reply: Reply) -> OpenHearthError:
        """Some put an error into a good reply; others don't know streams."""
        body = await reply.read(LARGEST_REFUSAL)
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


def _unfit(reply: Reply) -> str:
    """Why this can't be an answer, as the rest of a sentence."""
    if reply.content_type == "text/html":
        return "answers with a web page; base_url is wrong, or it lacks its /v1."
    if reply.headers.get("content-encoding", "identity") not in ("identity", ""):
        return "compresses its answers although it was asked not to."
    return ""


def _wait_s(attempt: int, asked_s: float | None) -> float:
    """Full jitter; what the server asks for is the least."""
    back_off_s = random.uniform(0, min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0**attempt))  # noqa: S311
    return back_off_s if asked_s is None else asked_s + back_off_s
