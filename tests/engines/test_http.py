"""HTTP as our own client reads it, against a server that writes raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from openhearth.engines.http import ConnectionBroken, Connections, ConnectionsClosed, Silence, Target
from openhearth.engines.http.reply import READ_SIZE

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"


@dataclass
class Raw:
    """Answers each request with the next of its answers; the last one stays. `b""` as the last part of one closes the connection."""

    answers: list[list[bytes]]
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: int = 0
    port: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                parts = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                if parts[-1] == b"":
                    break
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.ended += 1


@asynccontextmanager
async def served(*answers: list[bytes], keeps: bool = True) -> AsyncIterator[tuple[Raw, Connections]]:
    raw = Raw(list(answers))
    server = await asyncio.start_server(raw.handle, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    connections = Connections(Target.of(f"http://127.0.0.1:{raw.port}/v1"), {"x-mine": "1"}, connect_timeout_s=1, keeps=keeps)
    try:
        yield raw, connections
    finally:
        await connections.close()
        server.close()
        async with asyncio.timeout(2):
            while raw.ended < raw.connections:
                await asyncio.sleep(0.01)


async def got(connections: Connections, silence_s: float | None = 2.0, *, whole_within: bool = False) -> tuple[int, bytes]:
    async with await connections.ask("GET", "/x", silence_s=silence_s, whole_within=whole_within) as reply:
        return reply.status, await reply.read()


@pytest.mark.parametrize(
    "answer",
    [
        [HELLO],
        [bytes([byte]) for byte in HELLO],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", b"3;x=y\r\nllo\r\n0\r\nx-trailer: 1\r\n\r\n"],
        [OK + b"\r\n", b"hel", b"lo", b""],
        [b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", b""],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + HELLO],
        [OK + b"content-length: 5\r\nconnection: close\r\n\r\nhello", b""],
    ],
)
async def test_bodies_in_every_dress(answer: list[bytes]) -> None:
    async with served(answer) as (raw, connections):
        for _ in range(2):
            assert await got(connections) == (200, b"hello")
        assert raw.connections == (2 if b"" in answer else 1)


async def test_what_is_asked() -> None:
    async with served([HELLO]) as (raw, connections):
        async with await connections.ask("POST", "/chat", b"{}") as reply:
            await reply.read()
        head = raw.heads[0].decode()
        assert head.startswith(f"POST /v1/chat HTTP/1.1\r\nhost: 127.0.0.1:{raw.port}\r\n")
        assert "\r\nx-mine: 1\r\n" in head
        assert "\r\ncontent-length: 2\r\n" in head


async def test_without_keeping_each_request_has_its_connection() -> None:
    async with served([HELLO], keeps=False) as (raw, connections):
        for _ in range(3):
            await got(connections)
        assert raw.connections == 3
        assert b"connection: close" in raw.heads[0]


async def test_a_kept_connection_that_the_server_closed_is_not_used() -> None:
    async with served([HELLO, b""], [HELLO]) as (raw, connections):
        await got(connections)
        await asyncio.sleep(0.05)
        assert await got(connections) == (200, b"hello")
        assert raw.connections == 2


async def test_words_that_nobody_asked_for_end_a_kept_connection() -> None:
    async with served([HELLO, HELLO], [HELLO]) as (raw, connections):
        await got(connections)
        await asyncio.sleep(0.05)
        assert await got(connections) == (200, b"hello")
        assert raw.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        [b"what?\r\n\r\n"],
        [b""],
        [OK, b""],
        [OK + b"content-length: 9\r\n\r\nhello", b""],
        [OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", b""],
        [OK + b"transfer-encoding: chunked\r\n\r\nfive\r\nhello\r\n"],
        [OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello"],
        [OK + b"".join(b"x-%d: %s\r\n" % (n, b"x" * 1000) for n in range(100)) + b"\r\n"],
    ],
)
async def test_what_is_no_http_or_breaks_off(answer: list[bytes]) -> None:
    async with served(answer, [HELLO]) as (_, connections):
        with pytest.raises(ConnectionBroken):
            await got(connections)
        assert await got(connections) == (200, b"hello")


async def test_silence_is_counted_from_the_last_byte_unless_all_must_be_there() -> None:
    slowly = [OK + b"content-length: 40\r\n\r\n", *[b"."] * 40]
    async with served(slowly) as (_, connections):
        assert (await got(connections, 0.2))[1] == b"." * 40
        with pytest.raises(Silence):
            await got(connections, 0.2, whole_within=True)
    async with served([OK + b"content-length: 9\r\n\r\n"]) as (_, connections):
        with pytest.raises(Silence):
            await got(connections, 0.1)


async def test_who_reads_slowly_slows_the_server_down_and_is_not_called_silent() -> None:
    size = 64 * READ_SIZE
    async with served([OK + b"content-length: %d\r\n\r\n" % size, b"x" * size]) as (raw, connections):
        async with await connections.ask("GET", "/x", silence_s=0.1) as reply:
            await asyncio.sleep(0.5)
            first = await reply.piece()
            assert len(first) < size // 2
            assert len(first) + len(await reply.read()) == size
        assert await got(connections, None) == (200, b"x" * size)
        assert raw.connections == 1


async def leave(connections: Connections) -> None:
    """Read a little."""
    async with await connections.ask("GET", "/x") as reply:
        assert await reply.piece() == b"hel"


async def cancel(connections: Connections) -> None:
    """Give up while nothing comes."""
    with suppress(TimeoutError):
        await asyncio.wait_for(got(connections), 0.1)


@pytest.mark.parametrize("going", [leave, cancel])
async def test_going_before_the_end_breaks_the_connection(going: Callable[[Connections], Awaitable[None]]) -> None:
    async with served([OK + b"content-length: 5\r\n\r\nhel"]) as (raw, connections):
        await going(connections)
        async with asyncio.timeout(1):
            while not raw.ended:
                await asyncio.sleep(0.01)


async def test_closing_ends_what_runs_and_what_comes() -> None:
    async with served([OK + b"content-length: 5\r\n\r\nhel"]) as (_, connections):
        async with await connections.ask("GET", "/x") as reply:
            assert await reply.piece() == b"hel"
            await connections.close()
            with pytest.raises(ConnectionsClosed):
                await reply.piece()
        with pytest.raises(ConnectionsClosed):
            await got(connections)


@pytest.mark.parametrize(
    ("url", "named", "path", "port"),
    [
        ("http://gpu/v1", "gpu", "/v1", 80),
        ("https://gpu.example/a b/v1", "gpu.example", "/a%20b/v1", 443),
        ("http://[::1]:8000/v1", "[::1]:8000", "/v1", 8000),
        ("https://bücher.example", "xn--bcher-kva.example", "", 443),
        ("http://gpu/%7Eme/v1", "gpu", "/%7Eme/v1", 80),
    ],
)
def test_targets(url: str, named: str, path: str, port: int) -> None:
    target = Target.of(url)
    assert (target.named, target.path, target.port) == (named, path, port)
