"""`/v1/organization/projects/{id}/rate_limits` through the official client, and what the audit log keeps of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.admin.organization.projects import ProjectRateLimit

from tests.limits.serving import ADMIN, CONFIG, ENVIRON, MODELS, admin, user
from tests.support.serving import RunningServer, started
from tests.support.specification import conforms

PROJECT = "proj_default"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with started(tmp_path_factory.mktemp("limits"), CONFIG, environ=ENVIRON) as running:
        yield running


@pytest.fixture
def limits(house: RunningServer) -> Any:
    return admin(house).admin.organization.projects.rate_limits


def ask(house: RunningServer, path: str = "", *, key: str = ADMIN, project: str = PROJECT, **options: Any) -> httpx.Response:
    method = "POST" if "json" in options else "GET"
    url = f"{house.base_url}/organization/projects/{project}/rate_limits{path}"
    return httpx.request(method, url, headers={"authorization": f"Bearer {key}"}, **options)


def test_there_is_a_row_for_each_model(limits: Any, house: RunningServer) -> None:
    rows: list[ProjectRateLimit] = list(limits.list_rate_limits(PROJECT))
    assert [row.model for row in rows] == sorted(MODELS)
    assert rows[0].id == "rl-fake:chat"
    assert (rows[0].max_requests_per_1_minute, rows[0].max_tokens_per_1_minute) == (10_000, 10_000_000)
    reply = ask(house).json()
    conforms(reply, "ProjectRateLimitListResponse")
    assert "max_images_per_1_minute" not in reply["data"][0]
    assert (reply["first_id"], reply["last_id"], reply["has_more"]) == ("rl-fake:chat", "rl-house/with/slashes:1", False)


def test_pages_forward_and_back(limits: Any, house: RunningServer) -> None:
    assert [row.model for row in limits.list_rate_limits(PROJECT, limit=2)] == sorted(MODELS)
    first = ask(house, params={"limit": 2}).json()
    assert first["has_more"]
    second = ask(house, params={"limit": 2, "after": first["last_id"]}).json()
    back = ask(house, params={"limit": 2, "before": second["first_id"]}).json()
    assert back["data"] == first["data"]
    assert not back["has_more"]
    last_two = ask(house, params={"limit": 2, "before": "rl-z"}).json()
    assert [row["model"] for row in last_two["data"]] == sorted(MODELS)[-2:]
    assert last_two["has_more"]


@pytest.mark.parametrize("model", ["fake:day", "house/with/slashes:1"])
def test_setting_some_leaves_the_others(limits: Any, house: RunningServer, model: str) -> None:
    row = limits.update_rate_limit(f"rl-{model}", project_id=PROJECT, max_requests_per_1_minute=7)
    assert (row.id, row.model, row.max_requests_per_1_minute, row.max_tokens_per_1_minute) == (f"rl-{model}", model, 7, 10_000_000)
    row = limits.update_rate_limit(f"rl-{model}", project_id=PROJECT, max_requests_per_1_day=70, max_images_per_1_minute=3)
    assert (row.max_requests_per_1_minute, row.max_requests_per_1_day, row.max_images_per_1_minute) == (7, 70, 3)
    reply = ask(house, f"/rl-{model}", json={"max_audio_megabytes_per_1_minute": 2, "batch_1_day_max_input_tokens": 5}).json()
    conforms(reply, "ProjectRateLimit")
    assert reply["batch_1_day_max_input_tokens"] == 5
    assert ProjectRateLimit.model_validate(reply, strict=True) == next(one for one in limits.list_rate_limits(PROJECT) if one.id == row.id)
    with user(house) as client:
        told = client.chat.completions.with_raw_response.create(model=model, messages=[{"role": "user", "content": "[[say:Hi]]"}])
    assert told.headers["x-ratelimit-limit-requests"] == "7"


def test_the_audit_log_keeps_before_and_after(limits: Any, house: RunningServer) -> None:
    limits.update_rate_limit("rl-fake:stream", project_id=PROJECT, max_requests_per_1_minute=11)
    limits.update_rate_limit("rl-fake:stream", project_id=PROJECT, max_requests_per_1_minute=12)
    with sqlite3.connect(house.data_dir / "openhearth.db") as database:
        query = "SELECT details FROM audit_logs WHERE type = 'rate_limit.updated' AND resource_id = 'rl-fake:stream' ORDER BY position"
        found = [json.loads(details) for (details,) in database.execute(query)]
    assert [(kept["before"], kept["changes_requested"]) for kept in found] == [
        ({"max_requests_per_1_minute": 10_000}, {"max_requests_per_1_minute": 11}),
        ({"max_requests_per_1_minute": 11}, {"max_requests_per_1_minute": 12}),
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"max_requests_per_1_minute": -1}, "max_requests_per_1_minute"),
        ({"max_requests_per_1_minute": 10**13}, "max_requests_per_1_minute"),
        ({"max_requests_per_1_minute": None}, "max_requests_per_1_minute"),
        ({"max_tokens_per_1_minute": "many"}, "max_tokens_per_1_minute"),
        ({"max_requests_per_second": 1}, "max_requests_per_second"),
    ],
)
def test_mistakes_name_the_field(house: RunningServer, body: dict[str, Any], param: str) -> None:
    reply = ask(house, "/rl-fake:chat", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


def test_what_is_not_there(house: RunningServer, limits: Any) -> None:
    for limit_id in ("rl-nothing", "fake:chat", "rl-gpt-4o"):
        with pytest.raises(openai.NotFoundError, match="No rate limit"):
            limits.update_rate_limit(limit_id, project_id=PROJECT, max_requests_per_1_minute=1)
    assert ask(house, project="proj_nothing").status_code == 404
    assert ask(house, "/rl-fake:chat", project="proj_nothing", json={"max_requests_per_1_minute": 1}).status_code == 404


def test_who_only_uses_a_project_may_not_set_its_limits(house: RunningServer) -> None:
    assert ask(house, "/rl-fake:chat", key=house.key, json={"max_requests_per_1_minute": 1}).status_code == 403
    assert ask(house, key="sk-nobody-0123456789abcdef").status_code == 401
