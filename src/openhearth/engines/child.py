"""The child's side of an engine process: its configuration, its parent's end, its server. Runs in the child only."""

from __future__ import annotations

import asyncio
import ctypes
import hmac
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web

PR_SET_PDEATHSIG = 1
LARGEST_BODY = 256 * 2**20


def read_config() -> dict[str, Any]:
    """The one line that the parent wrote, with `socket` and `key`. From here on the child ends when its parent does."""
    _die_with_parent()
    config: dict[str, Any] = json.loads(sys.stdin.buffer.readline() or b"{}")
    if "socket" not in config:
        sys.exit("no configuration on standard input")
    Path(config["socket"]).unlink(missing_ok=True)
    os.umask(0o077)
    threading.Thread(target=_wait_for_parents_end, daemon=True).start()
    return config


def _die_with_parent() -> None:
    # Native code may hold the interpreter, and then the thread below doesn't run; the kernel does.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for_parents_end() -> None:
    # Not through Python's buffered reader: a thread that sits in that makes the interpreter abort at its own end.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def new_app(config: dict[str, Any]) -> web.Application:
    """An application that only who has the key can use."""
    from aiohttp import web

    return web.Application(middlewares=[_guard(config["key"])], client_max_size=LARGEST_BODY)


def serve(app: web.Application, config: dict[str, Any]) -> None:
    """Serve on the socket until SIGTERM."""
    asyncio.run(_serve(app, config["socket"]))


async def _serve(app: web.Application, socket: str) -> None:
    from aiohttp import web

    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    await web.UnixSite(runner, socket).start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def _guard(key: str) -> Any:
    from aiohttp import web

    expected = f"Bearer {key}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            return web.json_response({"error": {"message": "wrong key", "code": 401}}, status=401)
        response: web.StreamResponse = await handler(request)
        return response

    return guard
