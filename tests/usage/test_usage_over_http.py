"""Usage, costs, limits and alerts through the official client, against real servers; what is left after they stop or are killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types.admin.organization import OrganizationSpendAlert, OrganizationSpendLimit, UsageCompletionsResponse, UsageCostsResponse
from openai.types.admin.organization.projects import ProjectSpendLimit

from tests.support.serving import FAKE, RunningServer, started
from tests.support.specification import conforms

ADMIN_KEY = "sk-admin-0123456789abcdef0123456789"
PRICED = (
    FAKE.replace('name = "fake:chat"', 'name = "fake:chat"\nprices = { input = 1.0, output = 10.0 }')
    + """
[prices."fake:embed"]
input = 5.0
"""
)
HELLO: list[Any] = [{"role": "user", "content": "[[tokens:20]]"}]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("usage")
    with started(folder, PRICED, environ={"OPENHEARTH_ADMIN_KEY": ADMIN_KEY}) as running:
        with client_of(running) as client:
            for _ in range(3):
                client.chat.completions.create(model="gpt-4o", messages=HELLO)
            list(client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
            client.embeddings.create(model="text-embedding-3-small", input="a river")
            client.decisions.create(**DECISION)
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="nonsense", messages=HELLO)
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(model="gpt-4o", messages=[])
        time.sleep(1.2)
        yield running


DECISION: dict[str, Any] = {
    "model": "gpt-4o",
    "input": "A fine film.",
    "questions": [{"type": "predicate", "instructions": "It is praise."}],
}


def client_of(house: RunningServer, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=house.base_url, api_key=house.key, admin_api_key=ADMIN_KEY, max_retries=0, **more)


@pytest.fixture
def client(house: RunningServer) -> Iterator[openai.OpenAI]:
    with client_of(house) as client:
        yield client


@pytest.fixture
def http(house: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=house.base_url, headers={"authorization": f"Bearer {ADMIN_KEY}"}) as http:
        yield http


def today() -> int:
    return int(time.time()) // 86400 * 86400


def test_every_request_is_counted_once(client: openai.OpenAI) -> None:
    usage = client.admin.organization.usage
    reply = client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert reply.usage
    time.sleep(1.2)
    page = usage.completions(start_time=today(), group_by=["model", "project_id", "user_id", "api_key_id", "batch", "service_tier"])
    (bucket,) = page.data
    (result,) = bucket.results
    assert result.object == "organization.usage.completions.result"
    assert (result.model, result.batch, result.service_tier, result.project_id) == ("fake:chat", False, "default", "proj_default")
    assert result.user_id
    assert result.api_key_id
    assert result.num_model_requests == 5
    assert (result.input_tokens, result.output_tokens) == (5 * reply.usage.prompt_tokens, 5 * 20)
    (embedded,) = usage.embeddings(start_time=today()).data[0].results
    assert embedded.object == "organization.usage.embeddings.result"
    assert embedded.num_model_requests == 1
    (decided,) = usage.decisions(start_time=today(), group_by=["model"]).data[0].results
    assert (decided.num_model_requests, decided.model) == (1, "fake:chat")


def test_costs_are_in_dollars_by_line(client: openai.OpenAI) -> None:
    reply: Any = client.admin.organization.usage.costs(start_time=today(), group_by=["line_item", "project_id"])
    lines = {result.line_item: result for result in reply.data[0].results}
    written = lines["fake:chat, output"]
    assert written.amount.value == round(written.quantity * 10 * 1000) / 1e9
    assert (written.amount.currency, written.quantity_unit, written.project_id) == ("usd", "tokens", "proj_default")
    assert lines["fake:embed, input"].amount.value == lines["fake:embed, input"].quantity * 5000 / 1e9
    whole: Any = client.admin.organization.usage.costs(start_time=today())
    assert whole.data[0].results[0].amount.value == pytest.approx(sum(line.amount.value for line in lines.values()))
    one: Any = client.admin.organization.usage.costs(start_time=today(), line_items=["fake:chat, output"])
    assert one.data[0].results[0].amount.value == written.amount.value


@pytest.mark.parametrize(
    "operation",
    [
        "completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions", "vector_stores",
        "code_interpreter_sessions", "file_search_calls", "web_search_calls", "decisions",
    ],
)  # fmt: skip
def test_buckets_without_usage_are_there_and_empty(client: openai.OpenAI, http: httpx.Client, operation: str) -> None:
    month = client.admin.organization.usage
    page = getattr(month, operation)(start_time=today() - 30 * 86400, end_time=today(), limit=31, group_by=["project_id"])
    assert [bucket.start_time for bucket in page.data] == list(range(today() - 30 * 86400, today(), 86400))
    assert all(bucket.results == [] for bucket in page.data)
    raw = http.get(f"/organization/usage/{operation}", params={"start_time": today(), "bucket_width": "1h", "limit": 168}).json()
    conforms({**raw, "data": raw["data"] if operation != "decisions" else []}, "UsageResponse")


def test_replies_are_what_the_specification_says(http: httpx.Client) -> None:
    for path in ("usage/completions", "usage/embeddings", "costs"):
        reply = http.get(f"/organization/{path}", params={"start_time": today(), "group_by[]": ["project_id"]}).json()
        assert reply["data"][0]["results"]
        conforms(reply, "UsageResponse")
    UsageCompletionsResponse.model_validate(reply := http.get("/organization/usage/completions", params={"start_time": today()}).json())
    assert reply["data"][0]["results"][0]["model"] is None
    UsageCostsResponse.model_validate(http.get("/organization/costs", params={"start_time": today()}).json())


def test_lists_may_be_written_either_way(http: httpx.Client) -> None:
    for name in ("group_by", "group_by[]"):
        reply = http.get("/organization/usage/completions", params={"start_time": today(), name: ["model", "batch"]}).json()
        assert reply["data"][0]["results"][0]["model"] == "fake:chat"
        assert reply["data"][0]["results"][0]["batch"] is False


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({}, "start_time"),
        ({"start_time": "x"}, "start_time"),
        ({"start_time": -1}, "start_time"),
        ({"start_time": 10**15}, "start_time"),
        ({"start_time": 100, "end_time": 100}, "start_time"),
        ({"start_time": 2 * 10**9 * 2}, "start_time"),
        ({"start_time": 0, "limit": 32}, "limit"),
        ({"start_time": 0, "limit": 0}, "limit"),
        ({"start_time": 0, "limit": 169, "bucket_width": "1h"}, "limit"),
        ({"start_time": 0, "bucket_width": "1w"}, "bucket_width"),
        ({"start_time": 0, "group_by[]": "colour"}, "group_by"),
        ({"start_time": 0, "sizes[]": "256x256"}, "sizes"),
        ({"start_time": 0, "page": "page_nonsense"}, "page"),
        ({"start_time": 0, "page": "page_AAAAAGdGxdEiJdKOAAAAAGcqsYA="}, "page"),
        ({"start_time": 0, "page": "päge"}, "page"),
    ],
)
def test_bad_queries_are_named(http: httpx.Client, query: dict[str, Any], param: str) -> None:
    reply = http.get("/organization/usage/completions", params=query)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"].partition("[")[0] == param


def test_far_ends_cost_nothing(http: httpx.Client) -> None:
    query = {"start_time": 0, "end_time": 253_402_300_799, "bucket_width": "1m", "limit": 1440}
    begun = time.monotonic()
    assert len(http.get("/organization/usage/completions", params=query).json()["data"]) == 1440
    assert time.monotonic() - begun < 5


def test_only_who_may_sees_it(house: RunningServer) -> None:
    for path in (
        "usage/completions?start_time=0",
        "costs?start_time=0",
        "spend_limit",
        "spend_alerts",
        "projects/proj_default/spend_limit",
    ):
        reply = httpx.get(f"{house.base_url}/organization/{path}", headers={"authorization": f"Bearer {house.key}"})
        assert reply.status_code == 403


def test_spend_limits_of_a_project(client: openai.OpenAI, http: httpx.Client) -> None:
    limits = client.admin.organization.projects.spend_limit
    with pytest.raises(openai.NotFoundError):
        limits.retrieve("proj_default")
    with pytest.raises(openai.NotFoundError, match="No project"):
        limits.update("proj_nope", threshold_amount=1, currency="USD", interval="month")
    assert limits.update("proj_default", threshold_amount=100_000, currency="USD", interval="month").enforcement.status == "inactive"
    conforms(http.get("/organization/projects/proj_default/spend_limit").json(), "ProjectSpendLimitResource")
    ProjectSpendLimit.model_validate(http.get("/organization/projects/proj_default/spend_limit").json())
    client.chat.completions.create(model="gpt-4o", messages=HELLO)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=10**9)
    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
    conforms(http.delete("/organization/projects/proj_default/spend_limit").json(), "ProjectSpendLimitDeletedResource")


def test_spend_limit_of_the_organization_is_not_retried(house: RunningServer, http: httpx.Client) -> None:
    asked: list[httpx.Request] = []
    with client_of(house).with_options(max_retries=5) as client:
        made = client.admin.organization.spend_limit.update(threshold_amount=1, currency="USD", interval="month")
        OrganizationSpendLimit.model_validate(made.to_dict())
        conforms(http.get("/organization/spend_limit").json(), "OrganizationSpendLimitResource")
        try:
            begun = time.monotonic()
            with pytest.raises(openai.RateLimitError, match="You exceeded your current quota") as caught:
                client.chat.completions.create(model="gpt-4o", messages=HELLO, max_tokens=10_000)
            assert time.monotonic() - begun < 1.0
            assert caught.value.response.headers["x-should-retry"] == "false"
            asked.append(caught.value.response.request)
            assert asked[0].headers.get("x-stainless-retry-count") == "0"
        finally:
            conforms(http.delete("/organization/spend_limit").json(), "OrganizationSpendLimitDeletedResource")
    for body in (
        {"threshold_amount": 0, "currency": "USD", "interval": "month"},
        {"threshold_amount": 1, "currency": "EUR", "interval": "month"},
    ):
        assert http.post("/organization/spend_limit", json=body).status_code == 400


def test_spend_alerts(client: openai.OpenAI, http: httpx.Client) -> None:
    channel: Any = {"type": "email", "recipients": ["finance@example.com"], "subject_prefix": "Hearth"}
    for alerts, where, name in (
        (client.admin.organization.spend_alerts, (), "OrganizationSpendAlert"),
        (client.admin.organization.projects.spend_alerts, ("proj_default",), "ProjectSpendAlert"),
    ):
        alerts_of: Any = alerts
        made = [
            alerts_of.create(*where, threshold_amount=n, currency="USD", interval="month", notification_channel=channel)
            for n in (100, 200, 300)
        ]
        assert [alert.id for alert in alerts_of.list(*where, limit=1)] == [alert.id for alert in made]
        one = {"project_id": where[0]} if where else {}
        assert alerts_of.retrieve(made[0].id, **one).notification_channel.recipients == ["finance@example.com"]
        changed = alerts_of.update(made[0].id, **one, threshold_amount=5, currency="USD", interval="month", notification_channel=channel)
        assert changed.threshold_amount == 5
        path = f"/organization/{'projects/proj_default/' if where else ''}spend_alerts"
        conforms(http.get(path).json(), f"{name}ListResource")
        conforms(http.get(f"{path}/{made[1].id}").json(), name)
        conforms(http.delete(f"{path}/{made[1].id}").json(), f"{name}DeletedResource")
        assert alerts_of.delete(made[2].id, **one).deleted
        with pytest.raises(openai.NotFoundError):
            alerts_of.retrieve(made[2].id, **one)
    OrganizationSpendAlert.model_validate(http.get("/organization/spend_alerts").json()["data"][0])


@pytest.mark.parametrize(
    "channel",
    [
        {"type": "sms", "recipients": ["a@example.com"]},
        {"type": "email", "recipients": []},
        {"type": "email", "recipients": ["nobody"]},
        {"type": "email", "recipients": ["a@example.com\r\nBcc: b@example.com"]},
        {"type": "email", "recipients": ["a@example.com"], "subject_prefix": "x\r\nBcc: b@example.com"},
        {"type": "email", "recipients": ["a@example.com"] * 51},
    ],
)
def test_bad_channels_are_refused(http: httpx.Client, channel: dict[str, Any]) -> None:
    body = {"threshold_amount": 1, "currency": "USD", "interval": "month", "notification_channel": channel}
    reply = http.post("/organization/spend_alerts", json=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"].startswith("notification_channel")


def counted(data_dir: Path) -> tuple[int, int]:
    """Requests and output tokens in the database."""
    with sqlite3.connect(data_dir / "openhearth.db") as database:
        found = database.execute(
            "SELECT COALESCE(SUM(requests), 0), COALESCE(SUM(output_tokens), 0) FROM usage WHERE width = 86400"
        ).fetchone()
    database.close()
    return int(found[0]), int(found[1])


def test_a_clean_stop_loses_nothing(tmp_path: Path) -> None:
    with started(tmp_path, FAKE) as running, client_of(running) as client:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda _: client.chat.completions.create(model="gpt-4o", messages=HELLO), range(40)))
        running.process.send_signal(signal.SIGINT)
        running.process.wait(30)
        assert len(replies) == 40
        assert counted(running.data_dir) == (41, 41 * 20)


def test_what_is_broken_off_counts_with_what_was_done(tmp_path: Path) -> None:
    """One client leaves in mid-answer; another is still being answered when the server stops."""
    slow: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[tokens:500]] [[delay_ms:50]]"}], "stream": True}
    with started(tmp_path, FAKE) as running, client_of(running) as client:
        with client.chat.completions.create(**slow) as stream:
            for _ in range(10):
                next(stream)
        time.sleep(1.5)
        requests, left = counted(running.data_dir)
        assert (requests, left > 5) == (1, True)
        stream = client.chat.completions.create(**slow)
        for _ in range(10):
            next(stream)
        running.process.send_signal(signal.SIGINT)
        with pytest.raises(openai.APIError):
            for _ in stream:
                pass
        running.process.wait(30)
        requests, written = counted(running.data_dir)
        assert (requests, written - left > 5) == (2, True)


def test_a_kill_loses_a_second_at_most(tmp_path: Path) -> None:
    """Clients note when each answer has come; all that came more than a second before the kill must be there.

    What the database holds at any moment is what a kill at that moment leaves, so it is looked at often, with half a second more for slow
    machines.
    """
    answered: list[float] = []
    over = threading.Event()

    def ask(client: openai.OpenAI) -> None:
        while not over.is_set():
            try:
                client.chat.completions.create(model="gpt-4o", messages=HELLO)
            except openai.APIError:
                return
            answered.append(time.monotonic())

    with started(tmp_path, FAKE) as running, client_of(running) as client:
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
        answered.append(time.monotonic())
        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(ask, client)
            try:
                for _ in range(20):
                    time.sleep(0.2)
                    before = sum(1 for moment in answered if moment < time.monotonic() - 1.5)
                    assert counted(running.data_dir)[0] >= before
                killed = time.monotonic()
                engines = running.children()
                os.kill(running.process.pid, signal.SIGKILL)
                running.process.wait(10)
            finally:
                over.set()
        for engine in engines:
            engine.wait(10)
        kept = counted(running.data_dir)[0]
    assert kept >= sum(1 for moment in answered if moment < killed - 1.0)
    assert kept <= len(answered) + 4


def test_the_spend_limit_holds_against_64_clients(tmp_path: Path) -> None:
    """All say `max_tokens`: what was spent never passes the limit."""
    with started(tmp_path, PRICED, environ={"OPENHEARTH_ADMIN_KEY": ADMIN_KEY}) as running, client_of(running) as client:
        client.admin.organization.spend_limit.update(threshold_amount=5, currency="USD", interval="month")
        many: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[tokens:100]]"}], "max_tokens": 100}

        def ask(_number: int) -> int:
            try:
                client.chat.completions.create(**many)
            except openai.RateLimitError as error:
                assert error.code in ("insufficient_quota", "queue_full")
                return int(error.code == "insufficient_quota")
            return 0

        with ThreadPoolExecutor(64) as pool:
            refused = sum(pool.map(ask, range(192)))
        time.sleep(1.2)
        costs: Any = client.admin.organization.usage.costs(start_time=today())
        spent = costs.data[0].results[0].amount.value
        assert refused
        assert 0.04 < spent <= 0.05
