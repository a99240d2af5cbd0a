"""An ASGI application behind the real HTTP server, on a unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from starlette.types import ASGIApp

from openhearth.private_server import on_socket


@dataclass(frozen=True)
class Served:
    """The socket, and a session that reaches it as `http://house/...`."""

    socket: Path
    session: aiohttp.ClientSession


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[Served]:
    """Serve the application for one test."""
    async with (
        on_socket(app) as path,
        aiohttp.ClientSession("http://house", connector=aiohttp.UnixConnector(str(path))) as session,
    ):
        yield Served(path, session)
