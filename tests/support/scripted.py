"""A server on loopback that does what its script says, one step a request, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    peer: object
    """The client's end of the connection."""


@dataclass
class Scripted:
    """`base_url` ends with `/v1`. Requests for `/v1/models` get `listing`, all others the script's next step; the last one stays."""

    listing: Step
    script: list[Step] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    listed: list[Asked] = field(default_factory=list)
    left: int = 0
    """Requests whose client went away."""
    base_url: str = ""
    host: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        asked = Asked(
            request.method, request.path, request.headers.copy(), await request.read(), request.transport.get_extra_info("peername")
        )
        models = request.path == "/v1/models"
        (self.listed if models else self.asked).append(asked)
        step = self.listing if models else self.script.pop(0) if len(self.script) > 1 else self.script[0]
        try:
            return await step(request)
        except (asyncio.CancelledError, ConnectionResetError):
            self.left += 1
            raise


@asynccontextmanager
async def scripted(*script: Step, models: Step | None = None) -> AsyncIterator[Scripted]:
    """Serve until the context is left."""
    server = Scripted(models or reply({"object": "list", "data": []}), list(script))
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    server.host, server.base_url = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


def reply(value: object, status: int = 200, **headers: str) -> Step:
    """JSON. Underscores in names of headers are hyphens."""

    async def step(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return web.Response(body=msgspec.json.encode(value), status=status, headers=named, content_type="application/json")

    return step


def text(body: str, content_type: str, status: int = 200) -> Step:
    """Anything else."""

    async def step(_request: web.Request) -> web.Response:
        return web.Response(text=body, status=status, content_type=content_type)

    return step


def refuse(status: int, message: str = "No.", *, code: str | int | None = None, param: str | None = None, **headers: str) -> Step:
    """OpenAI's envelope."""
    return reply({"error": {"message": message, "type": "test", "code": code, "param": param}}, status, **headers)


def events(*pieces: bytes, end: str = "done", pause_s: float = 0.0) -> Step:
    """A stream: the pieces as they are, then `done`, `close` (breaks the connection), `stop` (ends it too early) or `hang`."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(pause_s)
        if end == "done":
            await response.write(b"data: [DONE]\n\n")
        elif end == "hang":
            await asyncio.sleep(3600)
        elif end == "close":
            break_off(request)
        return response

    return step


def endless(content_type: str, status: int = 200) -> Step:
    """A body without end."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"content-type": content_type})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 2**18)

    return step


async def silence(_request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(3600)
    raise AssertionError


async def broken(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    break_off(request)
    return web.Response()


def break_off(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
