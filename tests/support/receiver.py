"""A webhook receiver on loopback, real and threaded: what it answers is said by the path it is told at."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 20.0


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`/ok`, `/gone`, `/redirect` (to `/ok`), `/slow`, `/endless`, `/broken`; `/status/503` answers so; `/then/2` says 503 twice first."""

    port: int = 0
    scheme: str = "http"
    received: list[Received] = field(default_factory=list)
    written: int = 0
    """Bytes of the endless answer that went out."""
    leaving: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    def wait(self, path: str, number: int = 1, wait_s: float = WAIT_S) -> list[Received]:
        """What came at that path, once it is so many."""
        until = time.monotonic() + wait_s
        while time.monotonic() < until and len(self.at(path)) < number:
            time.sleep(0.02)
        found = self.at(path)
        assert len(found) >= number, f"{len(found)} of {number} came at {path}"
        return found


@contextmanager
def receiver(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """One that listens until the end of the block."""
    told = Receiver(scheme="https" if tls else "http")
    server = _Server(("127.0.0.1", port), _handler(told))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        told.leaving.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_details: Any) -> None:
        """Senders that hang up are what these tests are about."""


def _handler(told: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.received.append(Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            with suppress(OSError):
                self._answer()

        do_GET = do_POST

        def _answer(self) -> None:
            kind, _, rest = self.path.lstrip("/").partition("/")
            if kind == "slow":
                told.leaving.wait(WAIT_S)
            elif kind == "broken":
                self.wfile.write(b"this is not HTTP\r\n\r\n")
            elif kind == "endless":
                self._endless()
            else:
                before = len(told.at(self.path))
                status = {"gone": 410, "redirect": 302, "status": int(rest) if rest.isdigit() else 200}.get(kind, 200)
                self._say(503 if kind == "then" and before <= int(rest.partition("/")[0]) else status)

        def _say(self, status: int) -> None:
            self.send_response(status)
            if status == 302:
                self.send_header("location", told.url("/ok"))
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def _endless(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not told.leaving.is_set():
                self.wfile.write(b"x" * 4096)
                told.written += 4096

        def log_message(self, *_details: Any) -> None:
            pass

    return Handler
