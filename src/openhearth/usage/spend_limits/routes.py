"""`/v1/organization/spend_limit` and `/v1/organization/projects/{project_id}/spend_limit`."""

from __future__ import annotations

from openhearth.usage.spend_limits.service import READ, WRITE, SpendLimits
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.spending import SpendLimit, SpendLimitDeleted, SpendLimitUpdate

TAG = "Spend limits"
PATHS = {"the organization's": "/v1/organization/spend_limit", "a project's": "/v1/organization/projects/{project_id}/spend_limit"}


def endpoints(limits: SpendLimits) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def get(call: Call) -> Reply:
        return json_reply(await limits.get(call.principal, project_of(call)))

    async def put(call: Call) -> Reply:
        return json_reply(await limits.set(call.principal, project_of(call), call.json(SpendLimitUpdate)))

    async def delete(call: Call) -> Reply:
        return json_reply(await limits.remove(call.principal, project_of(call)))

    rows: list[Endpoint] = []
    for whose, path in PATHS.items():
        rows += [
            Endpoint("GET", path, get, f"Show {whose} hard spend limit.", response=SpendLimit, tag=TAG, permission=READ),
            Endpoint(
                "POST", path, put, f"Set {whose} hard spend limit.",
                request=SpendLimitUpdate, response=SpendLimit, tag=TAG, permission=WRITE,
            ),
            Endpoint("DELETE", path, delete, f"Take {whose} hard spend limit away.", response=SpendLimitDeleted, tag=TAG, permission=WRITE),
        ]  # fmt: skip
    return rows


def project_of(call: Call) -> str | None:
    """The path's project; None: the organization."""
    project: str | None = call.scope["path_params"].get("project_id")
    return project
