"""Limits as clients meet them, on real servers and both databases."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

import openai
import pytest

from tests.limits.serving import CONFIG, ENVIRON, hello, set_limit, user
from tests.support.foreign import environment, run
from tests.support.serving import RunningServer, started

CLIENTS = 64


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[RunningServer]:
    with started(tmp_path / "house", CONFIG, environ={**ENVIRON, "OPENHEARTH_DATABASE_URL": database_url}) as running:
        yield running


@pytest.fixture
def client(house: RunningServer) -> Iterator[openai.OpenAI]:
    with user(house) as client:
        yield client


def race(servers: list[RunningServer], attempts: int, model: str) -> list[str]:
    """What became of as many requests of 64 clients at once."""
    with ExitStack() as stack:
        clients = [stack.enter_context(user(server)) for _, server in zip(range(CLIENTS), cycle(servers), strict=False)]
        return _raced(clients, attempts, model)


def _raced(clients: list[openai.OpenAI], attempts: int, model: str) -> list[str]:

    def attempt(number: int) -> str:
        try:
            clients[number % CLIENTS].chat.completions.create(model=model, **hello())
        except openai.RateLimitError as error:
            assert error.type == "requests"
            return "refused"
        return "passed"

    with ThreadPoolExecutor(CLIENTS) as threads:
        return list(threads.map(attempt, range(attempts)))


def test_sixty_four_clients_get_exactly_the_limit(house: RunningServer) -> None:
    set_limit(house, "fake:day", max_requests_per_1_day=100)
    outcomes = race([house], 192, "fake:day")
    assert (outcomes.count("passed"), outcomes.count("refused")) == (100, 92)


def test_and_of_a_minutes_limit_what_filled_up_meanwhile(house: RunningServer, client: openai.OpenAI) -> None:
    set_limit(house, "fake:minute", max_requests_per_1_minute=100)
    client.chat.completions.create(model="fake:minute", **hello())  # the engine is up
    began = time.monotonic()
    passed = race([house], 192, "fake:minute").count("passed") + 1
    assert 100 <= passed <= 100 + (time.monotonic() - began) * 100 / 60 + 1


def test_two_servers_on_one_database_never_pass_the_limit(tmp_path: Path, database_url: str) -> None:
    environ = {**ENVIRON, "OPENHEARTH_DATABASE_URL": database_url}
    with ExitStack() as stack:
        servers = [stack.enter_context(started(tmp_path / name, CONFIG, environ=environ)) for name in ("one", "two")]
        set_limit(servers[0], "fake:day", max_requests_per_1_day=100)
        time.sleep(1.1)  # the other takes it up within a second
        passed = race(servers, 192, "fake:day").count("passed")
        assert 100 - 100 // 16 <= passed <= 100
        time.sleep(2)
        passed += race(servers, 64, "fake:day").count("passed")
        assert passed == 100


def test_a_server_that_is_killed_forgets_no_days_limit(tmp_path: Path, database_url: str) -> None:
    environ = {**ENVIRON, "OPENHEARTH_DATABASE_URL": database_url}
    with started(tmp_path / "house", CONFIG, environ=environ) as house:
        set_limit(house, "fake:day", max_requests_per_1_day=64)
        assert race([house], 5, "fake:day").count("passed") == 5
        house.process.send_signal(signal.SIGKILL)
        house.process.wait(10)
    with started(tmp_path / "house", CONFIG, environ=environ) as house:
        passed = race([house], 128, "fake:day").count("passed")
    assert 64 - 5 - 64 // 16 <= passed <= 64 - 5


def test_headers_come_with_every_kind_of_reply(house: RunningServer, client: openai.OpenAI) -> None:
    set_limit(house, "fake:chat", max_requests_per_1_minute=600, max_tokens_per_1_minute=6000)
    chat = client.chat.completions.with_raw_response.create(model="fake:chat", **hello(max_tokens=100))
    assert chat.headers["x-ratelimit-limit-requests"] == "600"
    assert chat.headers["x-ratelimit-limit-tokens"] == "6000"
    assert chat.headers["x-ratelimit-remaining-requests"] == "599"
    assert 5800 <= int(chat.headers["x-ratelimit-remaining-tokens"]) <= 5900
    assert chat.headers["x-ratelimit-reset-requests"].endswith("ms")
    assert 1 <= float(chat.headers["x-ratelimit-reset-tokens"].removesuffix("s")) <= 1.2
    stream = client.chat.completions.with_raw_response.create(model="fake:chat", stream=True, **hello())
    legacy = client.completions.with_raw_response.create(model="fake:chat", prompt="[[say:Hi]]")
    for reply in (stream, legacy):
        assert len([name for name in reply.headers if name.startswith("x-ratelimit-")]) == 6
    assert not [name for name in client.models.with_raw_response.list().headers if name.startswith("x-ratelimit-")]
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="fake:chat", **hello("[[error:400]]"))
    assert "x-ratelimit-remaining-requests" in raised.value.response.headers


def test_the_refusal_is_openais(house: RunningServer, client: openai.OpenAI) -> None:
    set_limit(house, "fake:minute", max_requests_per_1_minute=3, max_tokens_per_1_minute=1000)
    with pytest.raises(openai.RateLimitError, match="Request too large for fake:minute in organization org-") as too_large:
        client.chat.completions.create(model="fake:minute", **hello(max_tokens=1000))
    assert too_large.value.response.headers["x-should-retry"] == "false"
    for _ in range(3):
        client.chat.completions.create(model="fake:minute", **hello())
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="fake:minute", stream=True, **hello())
    error, headers = raised.value, raised.value.response.headers
    assert (error.status_code, error.type, error.code, error.param) == (429, "requests", "rate_limit_exceeded", None)
    assert "on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in " in error.message
    assert 15_000 < int(headers["retry-after-ms"]) <= 20_000
    assert int(headers["retry-after"]) == -(-int(headers["retry-after-ms"]) // 1000)
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("3", "0")


def test_the_official_client_waits_as_told_and_succeeds(house: RunningServer, client: openai.OpenAI) -> None:
    set_limit(house, "fake:minute", max_requests_per_1_minute=10)
    assert race([house], 20, "fake:minute").count("refused")
    began = time.monotonic()
    patient = client.with_options(max_retries=2).chat.completions
    replies = [patient.with_raw_response.create(model="fake:minute", **hello()) for _ in range(2)]
    assert 1 <= sum(reply.retries_taken for reply in replies) <= 2
    assert 5 < time.monotonic() - began < 20  # one passes every six seconds


def test_a_client_that_leaves_a_stream_pays_for_what_came(house: RunningServer, client: openai.OpenAI) -> None:
    set_limit(house, "fake:stream", max_tokens_per_1_minute=10_000)
    client.chat.completions.create(model="fake:stream", **hello())
    stream = client.chat.completions.create(model="fake:stream", stream=True, **hello("[[tokens:2000]][[delay_ms:50]]", max_tokens=3000))
    next(iter(stream))
    before, began = remaining(client), time.monotonic()
    assert before < 7500
    stream.close()
    while (after := remaining(client)) < 9800 and time.monotonic() - began < 10:
        time.sleep(0.05)
    filled = (time.monotonic() - began) * 10_000 / 60
    assert after - before - filled > 1000


def test_what_fails_before_the_engine_began_costs_nothing(house: RunningServer, client: openai.OpenAI) -> None:
    set_limit(house, "fake:day", max_requests_per_1_day=2)
    for _ in range(4):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="fake:day", **hello("[[error:400]]"))
    assert race([house], 4, "fake:day").count("passed") == 2


def remaining(client: openai.OpenAI) -> int:
    reply = client.chat.completions.with_raw_response.create(model="fake:stream", **hello())
    return int(reply.headers["x-ratelimit-remaining-tokens"])


LEGACY = """
import json, openai
try:
    for _ in range(3):
        openai.ChatCompletion.create(model="fake:minute", messages=[{"role": "user", "content": "[[say:Hi]]"}])
except openai.error.RateLimitError as error:
    print(json.dumps([error.http_status, str(error), error.headers["retry-after"]]))
"""


@pytest.mark.real
def test_the_old_client_raises_its_own_error(tmp_path: Path) -> None:
    with started(tmp_path / "house", CONFIG, environ=ENVIRON) as house:
        set_limit(house, "fake:minute", max_requests_per_1_minute=2)
        python = environment("openai-legacy", ["openai==0.28.1", "numpy>=2"])
        status, message, retry_after = json.loads(run(python, "-c", LEGACY, environ=house.environ))
    assert status == 429
    assert "Rate limit reached for fake:minute" in message
    assert 25 <= int(retry_after) <= 30
