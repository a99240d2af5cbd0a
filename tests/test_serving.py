"""The server as a process: addresses, locks, signals, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.serving import FAKE, KEY, RunningServer, greeting, started


def get(server: RunningServer, path: str, key: str | None = KEY) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(server.root + path, headers=headers), timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def post(server: RunningServer, path: str, body: object) -> tuple[int, Any]:
    request = urllib.request.Request(server.root + path, data=json.dumps(body).encode(), headers={"authorization": f"Bearer {KEY}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def serve(data_dir: Path, *flags: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A start that is meant to fail."""
    return subprocess.run(
        [sys.executable, "-m", "openhearth", "serve", "--data-dir", str(data_dir), *flags],
        env={**os.environ, "OPENHEARTH_API_KEY": KEY, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("-m", "smolm2:135m"), ("'smolm2:135m' does not exist", "'smollm2:135m'")),
        (("--offline",), ("'smollm2:135m' is not pulled yet", "--offline")),
        (("-m", "gpt-4o"), ("an alias",)),
    ],
)
def test_a_default_model_that_is_not_to_be_had_is_refused_before_anything_is_printed(
    tmp_path: Path, flags: tuple[str, ...], said: tuple[str, ...]
) -> None:
    refused = serve(tmp_path, "--port", "0", *flags)
    assert (refused.returncode, refused.stdout) == (78, "")
    for words in said:
        assert words in refused.stderr


def test_other_models_and_aliases_that_are_not_to_be_had_are_told_of(tmp_path: Path) -> None:
    missing = '[[models]]\nname = "tiny:1"\nfiles = [{ name = "m.gguf", from = ["https://127.0.0.1:9/m.gguf"] }]\n'
    config = f'preload = ["fake:chat", "tiny:1"]\n{FAKE}{missing}[aliases]\n"ours" = "nope:1b"\n'
    with started(tmp_path, config) as running:
        output = running.output.read_text()
    assert "tiny:1: https://127.0.0.1:9/m.gguf can't be reached" in output
    assert "'ours' is an alias of 'nope:1b'" in output


def test_every_route_but_health_wants_a_key(server: RunningServer) -> None:
    """Peers were caught with keys that guard only some routes or prefixes."""
    status, document = get(server, "/openapi.json")
    assert status == 200
    public = {"/", "/healthz", "/readyz"}
    for path, operations in document["paths"].items():
        concrete = path.replace("{", "").replace("}", "")
        for method in operations:
            for headers in ({}, {"authorization": "Bearer sk-wrong-0000000000000000"}, {"authorization": "Basic eDp5"}, {"x-api-key": KEY}):
                request = urllib.request.Request(
                    server.root + concrete, method=method.upper(), headers=headers, data=b"{}" if method == "post" else None
                )
                try:
                    code = urllib.request.urlopen(request, timeout=10).status
                except urllib.error.HTTPError as error:
                    code = error.code
                assert code == (200 if path in public else 401), (method, path, headers)
    for path in ("/v1/../v1/models", "//v1/models", "/v1/models/", "/V1/models", "/unknown", "/v1"):
        assert get(server, path, key=None)[0] == 401, path


def test_a_refused_key_is_explained_in_openais_shape(server: RunningServer) -> None:
    status, body = get(server, "/v1/models", key="sk-wrong-0000000000000000")
    assert status == 401
    assert body["error"]["code"] == "invalid_api_key"
    assert "0000000000000000" not in body["error"]["message"]


def test_health_needs_no_key(server: RunningServer) -> None:
    assert get(server, "/healthz", key=None)[1]["status"] == "ok"
    assert get(server, "/readyz", key=None)[1]["status"] == "ready"


def test_the_root_says_what_this_is_and_nothing_else(server: RunningServer) -> None:
    status, body = get(server, "/", key=None)
    assert status == 200
    assert body["name"] == "Open Hearth"
    assert "key" in body["message"]
    for path in ("/healthz", "/openapi.json", "/v1"):
        assert path in body["message"]
    assert "fake:chat" not in str(body)
    assert post(server, "/", {})[0] == 405


def test_metrics_count_requests_by_route_without_content(server: RunningServer) -> None:
    get(server, "/v1/models/some-very-private-name")
    request = urllib.request.Request(server.root + "/metrics", headers={"authorization": f"Bearer {KEY}"})
    text = urllib.request.urlopen(request, timeout=10).read().decode()
    assert 'openhearth_requests_total{method="GET",route="/readyz",status="200"}' in text
    assert "very-private-name" not in text


def test_the_first_start_shows_a_key_once_and_it_works(tmp_path: Path) -> None:
    with started(tmp_path / "data", environ={"OPENHEARTH_API_KEY": ""}) as first:
        shown = greeting(first)
        key = next(line for line in shown.splitlines() if line.startswith("Key: ")).split()[1]
        assert key.startswith("sk-")
        assert shown.count(f'api_key="{key}"') == 1
        assert "\x1b" not in shown
        assert get(first, "/v1/models", key)[0] == 200
    with started(tmp_path / "data", environ={"OPENHEARTH_API_KEY": ""}) as second:
        assert key not in second.output.read_text()
        assert get(second, "/v1/models", key)[0] == 200
    assert "if it is lost, `openhearth keys create` makes another" in second.output.read_text()


def test_the_programs_that_it_prints_run_as_they_stand(tmp_path: Path) -> None:
    with started(tmp_path / "data", environ={"OPENHEARTH_API_KEY": ""}) as first:
        printed = greeting(first)
        programs = printed[printed.index("# openai 1.0") : printed.index("Ctrl-C")]
        today, legacy = programs.split("\n\n")[:2]
        compile(programs, "both", "exec")
        assert legacy.startswith("# openai 0.")
        compile(legacy, "legacy", "exec")
        done = subprocess.run([sys.executable, "-"], input=today, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    with started(tmp_path / "data") as running:
        assert (running.data_dir / "server.json").stat().st_mode & 0o077 == 0
        assert KEY not in (running.data_dir / "server.json").read_text()
        assert get(running, "/v1/models")[0] == 200
    assert not (running.data_dir / "server.json").exists()


def test_two_servers_on_one_data_folder(server: RunningServer) -> None:
    second = serve(server.data_dir, "--port", "0")
    assert second.returncode == 75
    assert "Another openhearth server" in second.stderr
    assert get(server, "/readyz")[0] == 200


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        refused = serve(tmp_path, "--port", str(other.getsockname()[1]))
    assert refused.returncode == 69
    assert "--port" in refused.stderr


@pytest.mark.parametrize(
    ("flags", "status"),
    [(["--host", "203.0.113.9"], 69), (["--host", "no such host"], 68), (["--host", "http://x"], 68), (["--port", "70000"], 2)],
)
def test_wrong_addresses(tmp_path: Path, flags: list[str], status: int) -> None:
    refused = serve(tmp_path, *flags)
    assert refused.returncode == status
    assert "Traceback" not in refused.stderr


def test_another_address_says_what_it_means(tmp_path: Path) -> None:
    with started(tmp_path / "data", flags=("--host", "0.0.0.0")) as running:
        assert "every machine that reaches this one" in greeting(running)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path / "data") as running:
        engines = running.children()
        running.process.send_signal(number)
        assert running.process.wait(15) == 0
        assert not any(engine.is_running() for engine in engines)
        assert list((running.data_dir / "run").glob("*.sock")) == []
        assert "Traceback" not in running.output.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_s", [0.0, 0.3, 1.0])
def test_a_signal_while_an_engine_starts(tmp_path: Path, number: signal.Signals, after_s: float) -> None:
    slow = FAKE.replace('task = "chat"', 'task = "chat"\noptions = { start_delay_s = 30 }')
    with started(tmp_path / "data", slow) as running:
        time.sleep(after_s)
        engines = running.children()
        running.process.send_signal(number)
        assert running.process.wait(15) == 0
        psutil.wait_procs(engines, timeout=3)
        assert not any(engine.is_running() and engine.status() != psutil.STATUS_ZOMBIE for engine in engines)
        assert list((running.data_dir / "run").glob("*.sock")) == []
        assert not (running.data_dir / "server.json").exists()
        assert "Traceback" not in running.output.read_text()


@contextmanager
def streaming(server: RunningServer) -> Iterator[list[bytes]]:
    """A client in the midst of an answer; what it has read, once it is over."""
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "[[tokens:2000]] [[delay_ms:20]]"}]}
    request = urllib.request.Request(
        server.base_url + "/chat/completions", data=json.dumps(body).encode(), headers={"authorization": f"Bearer {KEY}"}
    )
    read: list[bytes] = []
    with urllib.request.urlopen(request, timeout=30) as response:
        response.readline()
        reading = threading.Thread(target=lambda: read.extend(response))
        reading.start()
        yield read
        reading.join(30)


def test_ctrl_c_says_what_it_waits_for_and_tells_the_client(tmp_path: Path) -> None:
    with started(tmp_path / "data") as running:
        with streaming(running) as read:
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(15) == 0
        assert "1 answer is being written; waiting for it, at most 5 s. Ctrl-C again stops at once." in running.output.read_text()
        event = json.loads(next(line for line in reversed(read) if line.startswith(b"data: ")).removeprefix(b"data: "))
        assert (event["error"]["message"], event["error"]["code"]) == ("The server is stopping.", "engine_unavailable")


@pytest.mark.parametrize("pause_s", [0.0, 1.0])
def test_a_second_ctrl_c_stops_at_once(tmp_path: Path, pause_s: float) -> None:
    with started(tmp_path / "data") as running:
        engines = running.children()
        with streaming(running):
            running.process.send_signal(signal.SIGINT)
            time.sleep(pause_s + 0.1)
            at = time.monotonic()
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(15) == 0
            assert time.monotonic() - at < 2.5
        assert not any(engine.is_running() for engine in engines)
        assert "Traceback" not in running.output.read_text()


def test_ctrl_c_with_nothing_to_wait_for_says_no_more_than_that_it_stopped(tmp_path: Path) -> None:
    with started(tmp_path / "data") as running:
        greeting(running)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(15) == 0
        assert "being written" not in running.output.read_text()


def test_kill_9_leaves_no_engine_and_the_next_start_works(tmp_path: Path) -> None:
    with started(tmp_path / "data") as running:
        until = time.monotonic() + 10
        while not (engines := running.children()) and time.monotonic() < until:
            time.sleep(0.05)
        assert engines
        running.process.kill()
        running.process.wait(5)
        psutil.wait_procs(engines, timeout=3)
        assert not any(engine.is_running() and engine.status() != psutil.STATUS_ZOMBIE for engine in engines)
    with started(tmp_path / "data") as again:
        assert get(again, "/v1/models")[0] == 200
        assert list((again.data_dir / "run").glob(f"{running.process.pid}-*.sock")) == []


def test_cors_is_off_unless_asked_for(server: RunningServer, tmp_path: Path) -> None:
    def allowed(running: RunningServer) -> str | None:
        request = urllib.request.Request(
            running.root + "/v1/models", headers={"authorization": f"Bearer {KEY}", "origin": "https://app.example"}
        )
        return urllib.request.urlopen(request, timeout=10).headers.get("access-control-allow-origin")

    assert allowed(server) is None
    with started(tmp_path / "data", 'cors_origins = ["https://app.example"]\n' + FAKE) as open_server:
        assert allowed(open_server) == "https://app.example"


def test_the_log_holds_no_key_and_no_prompt(server: RunningServer) -> None:
    secret = "a very secret sentence"
    for path, body in (
        ("/v1/completions", {"model": "x", "prompt": secret}),
        ("/v1/completions", {"model": "davinci", "prompt": secret + "[[crash]]"}),
    ):
        request = urllib.request.Request(server.root + path, data=json.dumps(body).encode(), headers={"authorization": f"Bearer {KEY}"})
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=30)
    log = server.output.read_text()
    assert secret not in log
    assert KEY not in log
    assert "ended by itself" in log


@pytest.mark.parametrize(
    "path", ["/v1/responses", "/v1/files", "/v1/engines/davinci/search", "/v1/classifications", "/v1/v1/engines/ada/answers"]
)
def test_openais_other_endpoints_are_no_typing_errors(server: RunningServer, path: str) -> None:
    status, body = post(server, path, {"file": "x"})
    assert (status, body["error"]["code"]) == (404, "unsupported_endpoint")


def test_a_doubled_version_counts_once(server: RunningServer) -> None:
    """openai 0.11 and before add it themselves."""
    asked = {"prompt": "[[say:one two]]", "max_tokens": 20}
    assert post(server, "/v1/v1/engines/davinci-codex/completions", asked)[1]["choices"][0]["text"] == "one two"
    assert get(server, "/v1/v1/models")[0] == 200
    for path in ("/v1/v1/models", "/v1/v1/engines"):
        assert get(server, path, key=None)[0] == 401
    for path in ("/v1/v1/v1/models", "/v1/v1", "/v1/v1/healthz", "/v1" * 2000 + "/models"):
        assert get(server, path)[0] == 404, path
