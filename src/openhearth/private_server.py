"""The house served for one command's life: on a unix socket in a private folder, with a key that only this process knows.

Takes no lock on the data folder and no port, so any number of these may run beside each other and beside a real server.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from openhearth.errors import SetupError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from openhearth.app import House

START_TIMEOUT_S = 10.0
GRACE_S = 5.0


@asynccontextmanager
async def temporary(house: House) -> AsyncIterator[tuple[Path, str]]:
    """Serve the house; yields the socket and the key. The house stays the caller's to close."""
    from openhearth.app import make_app

    key = "sk-local-" + secrets.token_urlsafe(24)
    house.access.admit(key, "local")
    async with on_socket(make_app(house)) as path:
        yield path, key


@asynccontextmanager
async def on_socket(app: ASGIApp) -> AsyncIterator[Path]:
    """Serve an application on a unix socket that only this user can reach; afterwards nothing of it is left. Raises SetupError."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    with tempfile.TemporaryDirectory(prefix="openhearth-") as folder:
        path = Path(folder, "server.sock")
        server = Server(app, uds=path, interface=Interfaces.ASGINL, http=HTTPModes.http1, websockets=False, log_enabled=False)
        serving = asyncio.create_task(server.serve())
        try:
            await _answering(path, serving)
            yield path
        finally:
            server.stop()  # type: ignore[no-untyped-call]
            await asyncio.wait({serving}, timeout=GRACE_S)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def _answering(path: Path, serving: asyncio.Task[None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT_S):
            while not serving.done():
                if await _reachable(path):
                    return
                await asyncio.sleep(0.005)
    reason = serving.exception() if serving.done() else f"nothing after {START_TIMEOUT_S:.0f} s"
    raise SetupError(f"The private server did not start: {reason}.")


async def _reachable(path: Path) -> bool:
    try:
        _reader, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
