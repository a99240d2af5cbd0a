"""Every act of management is in the audit log, whatever the route: walked over the table, like `test_isolation`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openai.types.admin.organization import AuditLogListResponse

from openhearth.accounts.audit.reading import AuditLog
from openhearth.accounts.permissions import OF_MANAGEMENT, OF_ORGANIZATION
from openhearth.wire.organization.audit_logs import AuditLogsQuery
from tests.support.accounts import a_project
from tests.support.isolation.belongings import Spot, body_values, prepare
from tests.support.isolation.samples import encoded
from tests.support.isolation.walk import Walk, filled, shown, walking
from tests.support.specification import conforms

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def walk(tmp_path: Path, database_url: str) -> AsyncIterator[Walk]:
    async with walking(tmp_path / "house", database_url) as walk:
        yield walk


async def test_what_is_done_is_written_down_and_what_is_refused_is_not(walk: Walk) -> None:
    log, admin, refused = AuditLog(walk.house.database), walk.cast["admin key"], walk.cast["admin key that may only look"]
    person = walk.cast["login of the organization's owner"]
    missing, failed = [], []
    for endpoint in walk.table:
        if endpoint.method == "GET" or endpoint.permission not in OF_MANAGEMENT | OF_ORGANIZATION:
            continue
        project_id = await a_project(walk.house.database)
        spot = Spot(walk.house.database, endpoint.path, project_id, {})
        await prepare(spot)
        path = filled(endpoint.path, await walk.things(endpoint, project_id))
        values = await body_values(spot)
        if endpoint.path.endswith("/users"):
            del values["email"]  # a user is named by one or the other
        if endpoint.path.endswith("/users/{user_id}"):
            del values["role_id"]  # the same for roles
        body = encoded(endpoint.request, values, whole=True)
        before = await _newest(log)
        assert (await walk.ask(refused, endpoint, path, body)).status == 403
        assert await _newest(log) == before, shown(endpoint)
        answer = await walk.ask(person if endpoint.login else admin, endpoint, path, body)
        failed += [f"{shown(endpoint)} {body.decode()}: {answer.text}"] if answer.status >= 300 else []
        missing += [shown(endpoint)] if answer.status < 300 and await _newest(log) == before else []
    assert not missing, f"These did something that the audit log doesn't tell: {missing}"
    assert not failed, "These could not be tried; teach `body_values` in tests/support/isolation/belongings.py:\n" + "\n".join(failed)
    await _all_conform(log)


async def _newest(log: AuditLog) -> str | None:
    found, _ = await log.find(AuditLogsQuery(limit=1))
    return found[0]["id"] if found else None


async def _all_conform(log: AuditLog) -> None:
    """What was written down is as OpenAI's types and specification have it, and tells who it was and from where."""
    rows, _ = await log.find(AuditLogsQuery(limit=100))
    assert len(rows) > 20
    for row in rows:
        AuditLogListResponse.model_validate(row, strict=True)
        conforms(row, "AuditLog")
    assert any(row["actor"].get("api_key", {}).get("user") for row in rows)
    assert any(row["actor"].get("session", {}).get("user_agent") for row in rows)
