"""Connections to one target, and requests on them."""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Mapping
from typing import Any, cast

import httptools

from openhearth.engines.http.reply import ConnectionBroken, ConnectionsClosed, Reply
from openhearth.engines.http.target import Target

CLOSING_S = 1.0
KEPT_S = 15.0
"""Shorter than most servers keep a connection in which nothing happens."""


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, connections: Connections) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport = cast("asyncio.Transport", None)
        self.parser: Any = None
        self.reply: Reply | None = None
        self.idle_since = 0.0
        self.gone = self.loop.create_future()
        self._connections = connections

    def send(self, request: bytes, silence_s: float | None, *, whole_within: bool) -> Reply:
        self.reply = reply = Reply(self, silence_s, whole_within=whole_within)
        self.parser = httptools.HttpResponseParser(reply)
        self.transport.write(request)
        return reply

    def release(self, *, reusable: bool) -> None:
        # The parser and the reply know each other: without this only the garbage collector would part them.
        self.parser = self.reply = None
        if not reusable:
            self.transport.abort()
        elif not self.transport.is_closing():
            self._connections.give_back(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.reply is None:
            self.transport.abort()
            return
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, ConnectionBroken):
            self.reply.fail(ConnectionBroken())
            self.transport.abort()
        else:
            self.reply.heard()

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.lost(self)
        if not self.gone.done():
            self.gone.set_result(None)
        if self.reply is not None:
            self.reply.cut()


class Connections:
    """All connections to one target. `keeps`: whether they are used again. Must be closed."""

    def __init__(self, target: Target, headers: Mapping[str, str], *, connect_timeout_s: float, keeps: bool = True) -> None:
        self._target = target
        named = {"host": target.named, "accept-encoding": "identity", **headers, **({} if keeps else {"connection": "close"})}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self._connect_timeout_s = connect_timeout_s
        self._keeps = keeps
        self._tls: ssl.SSLContext | None = None
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self.closed = False

    async def ask(
        self, method: str, path: str, body: bytes | None = None, *, silence_s: float | None = None, whole_within: bool = False
    ) -> Reply:
        """Send a request, wait for the reply's head. With `whole_within` all of it must come within `silence_s`.

        Raises ConnectTimeout, OSError (no connection), ConnectionBroken, Silence, ConnectionsClosed.
        """
        connection = self._kept() or await self._connected()
        length = "" if body is None else f"content-length: {len(body)}\r\n"
        head = f"{method} {self._target.path}{path} HTTP/1.1\r\n{self._headers}{length}\r\n"
        reply = connection.send(head.encode("latin-1") + (body or b""), silence_s, whole_within=whole_within)
        try:
            await reply.begun()
        except BaseException:
            reply.close()
            raise
        return reply

    async def close(self) -> None:
        """Break everything off."""
        self.closed = True
        gone = [connection.gone for connection in self._open]
        for connection in list(self._open):
            if connection.reply is not None:
                connection.reply.fail(ConnectionsClosed())
            connection.transport.abort()
        if gone:
            await asyncio.wait(gone, timeout=CLOSING_S)

    def give_back(self, connection: Connection) -> None:
        """Its reply has ended."""
        if not self._keeps or self.closed:
            connection.transport.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection.reply is None and connection in self._idle:
            self._idle.remove(connection)

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing() and time.monotonic() - connection.idle_since < KEPT_S:
                return connection
            connection.transport.abort()
        return None

    async def _connected(self) -> Connection:
        if self.closed:
            raise ConnectionsClosed
        if self._target.tls and self._tls is None:
            # Reads the machine's certificate authorities, which takes a while.
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        connection = await self._target.connected(functools.partial(Connection, self), self._connect_timeout_s, self._tls)
        self._open.add(connection)
        if self.closed:
            connection.transport.abort()
            raise ConnectionsClosed
        return connection
