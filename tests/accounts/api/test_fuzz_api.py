"""Projects and keys, fuzzed from our own `/openapi.json` with an admin key: no 5xx, replies as documented, errors in OpenAI's shape."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import response_schema_conformance

from tests.accounts.api.conftest import ADMIN_KEY
from tests.support.serving import RunningServer

EXAMPLES = int(os.environ.get("OPENHEARTH_FUZZ_EXAMPLES", "12"))
OURS = ("projects", "admin_api_keys", "data_retention")


def test_no_request_breaks_the_administration(house: RunningServer) -> None:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    schema = schemathesis.openapi.from_url(house.root + "/openapi.json", headers={"authorization": f"Bearer {house.key}"})
    found = (result.ok() for result in schema.get_all_operations())
    operations = [operation for operation in found if any(word in operation.path for word in OURS)]
    reached: Counter[str] = Counter()
    for operation in operations:
        _fuzz(operation, headers, reached)
    assert len(operations) >= 34
    assert {"POST /v1/organization/projects", "POST /v1/organization/admin_api_keys"} <= set(reached)


def _fuzz(operation: Any, headers: dict[str, str], reached: Counter[str]) -> None:
    @given(case=operation.as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    def one(case: Any) -> None:
        if "project_id" in (case.path_parameters or {}) and len(reached) % 2 == 0:
            case.path_parameters["project_id"] = "proj_default"
        response = case.call(headers=headers, timeout=60)
        assert response.status_code < 500, (case.as_curl_command(), response.text)
        if response.status_code >= 400:
            error = response.json()["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert error["message"]
            return
        reached[operation.label] += 1
        case.validate_response(response, checks=[response_schema_conformance])

    one()
