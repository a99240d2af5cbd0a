"""Every route, fuzzed from our own `/openapi.json`: no 5xx, replies as documented, errors in OpenAI's shape, and the server lives."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import response_schema_conformance

from tests.support.serving import RunningServer, started

REFUSED = {"audio", "modalities", "moderation", "web_search_options", "verbosity", "reasoning_effort", "prompt_cache_options",
           "prompt_cache_retention", "functions", "function_call", "tools", "tool_choice", "stream_options", "response_format",
           "top_logprobs", "max_tokens", "logit_bias", "prediction"}  # fmt: skip
MANAGEMENT = ("/v1/organization/", "/v1/projects/")
EXAMPLES = int(os.environ.get("OPENHEARTH_FUZZ_EXAMPLES", "25"))


def test_no_request_breaks_the_server(server: RunningServer) -> None:
    reached = _fuzz_all(server, server.key, management=False)
    assert {"POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/edits"} <= set(reached)


def test_no_administrative_request_breaks_the_server(tmp_path: Path) -> None:
    """With an admin key, on a house of its own: much is made and deleted there."""
    admin = "sk-admin-0123456789abcdef0123456789"
    with started(tmp_path / "house", environ={"OPENHEARTH_ADMIN_KEY": admin}) as server:
        reached = _fuzz_all(server, admin, management=True)
    assert {"POST /v1/organization/groups", "GET /v1/organization/audit_logs", "GET /v1/organization/roles"} <= set(reached)


def _fuzz_all(server: RunningServer, key: str, *, management: bool) -> Counter[str]:
    """The routes of management, or all others; gives which answered with success."""
    schema = schemathesis.openapi.from_url(server.root + "/openapi.json", headers={"authorization": f"Bearer {server.key}"})
    operations = [
        operation for result in schema.get_all_operations() if (operation := result.ok()).path.startswith(MANAGEMENT) == management
    ]
    assert len(operations) > 10
    reached: Counter[str] = Counter()
    for operation in operations:
        _fuzz(operation, {"authorization": f"Bearer {key}"}, reached)
    return reached


def _tame(body: dict[str, Any], path: str) -> None:
    """Nearly no invented name is a model's, and what is refused by design hides what lies behind it; that must be reached, too."""
    if isinstance(body.get("model"), str) or len(body) % 3:
        body["model"] = "fake:embed" if "embeddings" in path else "fake:chat"
    if len(body) % 4:
        for name in REFUSED & body.keys():
            del body[name]


def _fuzz(operation: Any, headers: dict[str, str], reached: Counter[str]) -> None:
    @given(case=operation.as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    def one(case: Any) -> None:
        if isinstance(case.body, dict) and not operation.path.startswith(MANAGEMENT):
            _tame(case.body, operation.path)
        response = case.call(headers=headers, timeout=60)
        assert response.status_code < 500, (case.as_curl_command(), response.text)
        if response.status_code >= 400:
            error = response.json()["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert error["message"]
            return
        reached[operation.label] += 1
        if response.headers.get("content-type", [""])[0].startswith("application/json"):
            case.validate_response(response, checks=[response_schema_conformance])

    one()
