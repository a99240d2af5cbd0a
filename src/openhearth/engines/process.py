"""An engine's child process: started with its secrets on standard input, probed until it answers, ended without a trace."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import sys
import tempfile
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from openhearth.engines.client import HttpClient, answers
from openhearth.errors import EngineUnavailable

_FRAME = re.compile(r"Traceback|\s+(?:File \"|\S)|\s*[\^~]+\s*$")
_FOLDERS = re.compile(r"(?:/[\w.+@-]+)+/")
LONGEST_SOCKET_PATH = 100
LAST_WORDS = 12
STOP_TIMEOUT_S = 3.0
PROBE_INTERVAL_S = 0.02


class Child:
    """A running child. `client` reaches it; `last_words` are the ends of what it wrote to standard error."""

    def __init__(self, process: asyncio.subprocess.Process, socket: Path, client: HttpClient) -> None:
        self.process = process
        self.client = client
        self._socket = socket
        self._lines: deque[str] = deque(maxlen=LAST_WORDS)
        self._listening = asyncio.create_task(self._listen())
        self._memory = _Memory(process.pid)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    @property
    def last_words(self) -> str:
        """Without the frames of a traceback and without folders: a client may be shown them."""
        told = [line for line in self._lines if not _FRAME.match(line)]
        return " | ".join(_FOLDERS.sub("", line.strip()) for line in told if line.strip())

    def resident_bytes(self) -> int:
        """Memory it holds; 0 once it is gone."""
        return self._memory.resident_bytes() if self.alive else 0

    async def exited(self) -> int:
        """Wait for its end; its exit status."""
        return await self.process.wait()

    async def stop(self) -> None:
        """End it: politely, then not. Leaves no process and no socket file."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(self.process.wait()), STOP_TIMEOUT_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        finally:
            if self.process.stdin:
                self.process.stdin.close()
            await self.client.close()
            with suppress(OSError):
                self._socket.unlink(missing_ok=True)
            with suppress(Exception, asyncio.CancelledError):
                await asyncio.wait_for(self._listening, 1)

    async def settled_words(self) -> str:
        """Its last words once all of them are read; for a child that has ended."""
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._listening), 1)
        return self.last_words

    async def _listen(self) -> None:
        stream = self.process.stderr
        while stream is not None:
            try:
                line = await stream.readline()
            except ValueError:  # a line longer than the reader's limit; it is dropped
                continue
            if not line:
                return
            if text := line.decode(errors="replace").rstrip():
                self._lines.append(text[:300])


class _Memory:
    def __init__(self, pid: int) -> None:
        self._path = f"/proc/{pid}/statm"
        self._pid = pid

    def resident_bytes(self) -> int:
        try:
            with open(self._path, "rb") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return self._by_psutil()

    def _by_psutil(self) -> int:
        import psutil

        try:
            return int(psutil.Process(self._pid).memory_info().rss)
        except psutil.Error:
            return 0


async def start_child(
    module: str,
    config: dict[str, Any],
    *,
    name: str,
    sockets: Path,
    ready_path: str = "/health",
    start_timeout_s: float = 120.0,
    stall_timeout_s: float = 120.0,
    keeps_connections: bool = True,
) -> Child:
    """Run `python -m MODULE` and wait until it answers at `ready_path`.

    The child reads one line of JSON: `config`, with `socket` and `key` added. Raises EngineUnavailable with its last words.
    """
    socket = socket_path(sockets)
    key = secrets.token_urlsafe(32)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl-C in the terminal is the parent's to handle: it lets running answers end first.
        start_new_session=True,
        close_fds=True,
    )
    child = Child(process, socket, HttpClient(path=socket, key=key, stall_timeout_s=stall_timeout_s, keeps=keeps_connections))
    try:
        await _hand_over(process, {**config, "socket": str(socket), "key": key})
        await _ready(child, name, ready_path, start_timeout_s)
    except BaseException:
        await asyncio.shield(child.stop())
        raise
    return child


async def _hand_over(process: asyncio.subprocess.Process, config: dict[str, Any]) -> None:
    if process.stdin is None:
        raise EngineUnavailable("The engine has no standard input.")
    # The pipe stays open: its end tells the child that its parent is gone.
    with suppress(ConnectionError):
        process.stdin.write(msgspec.json.encode(config) + b"\n")
        await process.stdin.drain()


async def _ready(child: Child, name: str, path: str, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while child.alive:
                if await answers(child.client, path):
                    return
                await asyncio.sleep(PROBE_INTERVAL_S)
    except TimeoutError:
        raise EngineUnavailable(f"The engine of {name} did not get ready within {timeout_s:g} seconds.") from None
    words = await child.settled_words()
    status = child.process.returncode or 0
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    raise EngineUnavailable(f"The engine of {name} ended while starting ({how}){': ' + words if words else '.'}")


def socket_path(folder: Path) -> Path:
    """A free path for a unix socket, which only this user can reach and the kernel can take (107 bytes)."""
    name = f"{os.getpid()}-{secrets.token_hex(5)}.sock"
    if len(str(folder / name).encode()) > LONGEST_SOCKET_PATH:
        folder = Path(tempfile.gettempdir(), f"openhearth-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise EngineUnavailable(f"{folder} belongs to another user; engines can't open their sockets there.")
    _sweep(folder)
    return folder / name


def _sweep(folder: Path) -> None:
    """Remove the sockets of processes that were killed."""
    for path in folder.glob("*-*.sock"):
        owner = path.name.partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            path.unlink(missing_ok=True)
