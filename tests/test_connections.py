"""Connections: who holds many and says nothing, or little, does not hold the server."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from openhearth.settings import Settings
from tests.support.serving import FAKE, KEY, RunningServer, started


def connected(server: RunningServer) -> socket.socket:
    """A connection on which nothing has been said."""
    return socket.create_connection(("127.0.0.1", int(server.root.rsplit(":", 1)[1])), timeout=10)


def most_files(server: RunningServer) -> int:
    """The most files that it has open within a second, in which it could accept what waits."""
    process, until, most = psutil.Process(server.process.pid), time.monotonic() + 1, 0
    while time.monotonic() < until:
        most = max(most, process.num_fds())
        time.sleep(0.02)
    return most


def ready(server: RunningServer) -> bool:
    with urllib.request.urlopen(server.root + "/readyz", timeout=30) as response:
        return bool(response.status == 200)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with started(tmp_path_factory.mktemp("strict"), "idle_timeout_s = 2\nmax_connections = 20\n" + FAKE) as running:
        yield running


@pytest.mark.parametrize("said", [b"", b"G", b"GET /readyz HTTP/1.1\r\nhost: x\r\n", b"PRI * HTTP/2.0\r\n", b"\r\n"])
def test_a_silent_one_is_closed(strict: RunningServer, said: bytes) -> None:
    with connected(strict) as silent:
        silent.sendall(said)
        silent.settimeout(10)
        answer = silent.recv(1000)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400"))


def test_one_that_dribbles_its_headers_is_closed(strict: RunningServer) -> None:
    with connected(strict) as slow:
        slow.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\n")
        slow.settimeout(0.25)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                slow.sendall(b"a: b\r\n")
                assert slow.recv(1000)[:12] in (b"", b"HTTP/1.1 408")
                return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    raise AssertionError("still open")


def test_one_is_kept_between_requests_and_closed_when_none_comes(strict: RunningServer) -> None:
    with connected(strict) as kept:
        kept.settimeout(10)
        for _ in range(3):
            time.sleep(1.2)
            kept.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert kept.recv(4000).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert kept.recv(1000) == b""
        assert 1 < time.monotonic() - began < 6


def test_a_long_answer_is_not_cut_off(strict: RunningServer) -> None:
    body = json.dumps({"model": "davinci", "prompt": "[[tokens:8]] [[delay_ms:500]]", "stream": True}).encode()
    request = urllib.request.Request(strict.root + "/v1/completions", data=body, headers={"authorization": f"Bearer {KEY}"})
    assert urllib.request.urlopen(request, timeout=30).read().endswith(b"data: [DONE]\n\n")


def test_as_many_as_may_be_open_make_the_next_wait_and_not_fail(strict: RunningServer) -> None:
    silent = [connected(strict) for _ in range(60)]
    try:
        assert most_files(strict) < 60
        assert ready(strict)
    finally:
        for one in silent:
            one.close()


def test_a_kept_one_lives_for_a_minute_by_default() -> None:
    assert Settings().idle_timeout_s >= 65


def test_few_open_files_mean_few_connections(tmp_path: Path) -> None:
    with started(tmp_path / "data", open_files=(290, 300)) as running:
        silent = [connected(running) for _ in range(100)]
        try:
            assert most_files(running) < 110
        finally:
            for one in silent:
                one.close()
        assert ready(running)


def test_two_authorization_headers_are_refused(server: RunningServer) -> None:
    """Two programs on the way could each believe another one."""
    host, port = server.root.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        keys = f"authorization: Bearer wrong\r\nauthorization: Bearer {server.key}\r\n"
        connection.sendall(f"GET /v1/models HTTP/1.1\r\nhost: house\r\n{keys}connection: close\r\n\r\n".encode())
        assert connection.makefile("rb").readline().split()[1] == b"401"
