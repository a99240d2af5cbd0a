"""Runs the house on an address: the lock on the data folder, the HTTP server, signals, the way out.

The HTTP server is granian, embedded, so that engines, database and routes share one process and one event loop.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from filelock import FileLock, Timeout

from openhearth.errors import SetupError
from openhearth.settings import Settings

if TYPE_CHECKING:
    from openhearth.app import House

SPARE_FILES = 256
"""Open files kept for everything but clients' connections: database, engines, downloads."""
GRACE_S = 5.0
GARBAGE_THRESHOLD = 20_000
"""Objects; Python's own 700 is reached with every few requests."""


class Running(msgspec.Struct, frozen=True):
    """How commands on this machine find the server: `server.json` in the data folder, readable by its owner only."""

    pid: int
    base_url: str
    key: str
    """Accepted while this server runs; it is in no database."""


def running(settings: Settings) -> Running | None:
    """The server on this data folder, if one runs."""
    if not _lock_path(settings).exists():
        return None  # to look must not make the folder
    lock = FileLock(_lock_path(settings))
    try:
        with lock.acquire(timeout=0):
            return None
    except Timeout:
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(_running_path(settings).read_bytes(), type=Running)
    except OSError:
        return None
    return None


@asynccontextmanager
async def data_folder(settings: Settings) -> AsyncIterator[None]:
    """Hold the data folder for this process. Raises SetupError if it can't be written, or another server has it."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(_lock_path(settings), timeout=0)
        lock.acquire()
    except Timeout:
        raise SetupError(
            f"Another openhearth server uses {settings.data_dir}. Stop it, or give this one its own folder with --data-dir.",
            exit_status=75,
        ) from None
    except OSError as error:
        raise SetupError(f"Can't write to {settings.data_dir}: {error.strerror}. Choose another with --data-dir.", exit_status=73) from None
    try:
        yield
    finally:
        _running_path(settings).unlink(missing_ok=True)
        lock.release()


async def serve(house: House, *, ready: Callable[[str], Awaitable[None]], waiting: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is awaited with the base address once the port is ours.

    Answers that are being written then may go on for `GRACE_S`; `waiting` is told how many. A second signal ends them at once.
    """
    from granian.constants import HTTPModes, Interfaces
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    # Commands that only look for a running server must not load the whole application.
    from openhearth.app import make_app

    settings = house.settings
    port = claim_port(settings.host, settings.port)
    address = f"http://{_shown_host(settings.host)}:{port}"
    local_key = "sk-local-" + secrets.token_urlsafe(24)
    house.access.admit(local_key, "local")
    _write_privately(_running_path(settings), msgspec.json.encode(Running(os.getpid(), address, local_key)))
    server = Server(
        make_app(house),
        address=settings.host,
        port=port,
        interface=Interfaces.ASGINL,
        websockets=False,
        # While it waits to see which version a client speaks, no time limit runs; with one version alone it runs from the first moment.
        http=HTTPModes.http1,
        backlog=1024,
        backpressure=connections_allowed(settings.max_connections),
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=round(settings.idle_timeout_s * 1000)),
    )
    _settle_memory()
    stop, at_once = _signals()
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    greeting = asyncio.create_task(_greet(settings.host, port, address, ready))
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        greeting.cancel()
        stopping.cancel()
        hurry = asyncio.create_task(at_once.wait())
        await _drain(house, hurry, waiting)
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({serving, hurry}, timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(greeting)
    if serving.done() and serving.exception():
        raise SetupError(f"The HTTP server stopped: {serving.exception()}.")


def _settle_memory() -> None:
    """What is loaded by now stays: the garbage collector need not look at it again, and may come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set by the first and by the second SIGINT or SIGTERM."""
    stop, at_once = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: (at_once if stop.is_set() else stop).set())
    return stop, at_once


async def _drain(house: House, hurry: asyncio.Task[Any], waiting: Callable[[int], None]) -> None:
    """Give running answers a moment, then stop the engines: what still streams ends with an error event, not a hang."""
    if house.answers:
        waiting(house.answers)
    until = time.monotonic() + GRACE_S
    while house.answers and not hurry.done() and time.monotonic() < until:
        await asyncio.wait({hurry}, timeout=0.05)
    await house.pool.close()


async def _greet(host: str, port: int, address: str, ready: Callable[[str], Awaitable[None]]) -> None:
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a name for it, not a binding
    while True:
        try:
            _reader, writer = await asyncio.open_connection(target, port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        await ready(address)
        return


def claim_port(host: str, port: int) -> int:
    """Check that the port is free and allowed (0: any). Raises SetupError with what to do."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # The server itself shares ports (SO_REUSEPORT): without this probe two servers would split the requests.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except socket.gaierror:
        raise SetupError(f"'{host}' is not an address of this machine.", exit_status=68) from None
    except OSError as error:
        reason = {
            errno.EADDRINUSE: "another program listens there; stop it or choose another with --port",
            errno.EACCES: "this user may not; choose a port above 1023 with --port",
            errno.EADDRNOTAVAIL: "this machine has no such address; choose another with --host",
        }.get(error.errno or 0, error.strerror)
        raise SetupError(f"Can't listen on {host}:{port}: {reason}.", exit_status=69) from None


def connections_allowed(wanted: int) -> int:
    """How many clients' connections this process may have open. Raises the limit of open files as far as is needed and allowed."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        enough = min(enough, hard)
    if soft != resource.RLIM_INFINITY and soft < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
    return max(1, min(wanted, enough - SPARE_FILES))


def _shown_host(host: str) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a name for it, not a binding
    return f"[{shown}]" if ":" in shown else shown


def _lock_path(settings: Settings) -> Path:
    return settings.data_dir / "server.lock"


def _running_path(settings: Settings) -> Path:
    return settings.data_dir / "server.json"


def _write_privately(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
