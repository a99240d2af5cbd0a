"""`/v1/organization/projects/{project_id}/rate_limits`."""

from __future__ import annotations

from openhearth.limits.service import ProjectLimits
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.rate_limits import ProjectRateLimit, ProjectRateLimitList, RateLimitsQuery, RateLimitUpdate

TAG = "Projects"
READ, WRITE = "api.rate_limits.read", "api.rate_limits.write"
ALL = "/v1/organization/projects/{project_id}/rate_limits"
ONE = ALL + "/{rate_limit_id:path}"


def endpoints(limits: ProjectLimits) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def list_all(call: Call) -> Reply:
        return json_reply(await limits.find(call.path("project_id"), call.query(RateLimitsQuery)))

    async def update(call: Call) -> Reply:
        wanted = call.json(RateLimitUpdate)
        return json_reply(await limits.set(call.principal, call.path("project_id"), call.path("rate_limit_id"), wanted))

    return [
        Endpoint("GET", ALL, list_all, "A project's rate limits, model by model.", query=RateLimitsQuery, response=ProjectRateLimitList,
                 tag=TAG, permission=READ),
        Endpoint("POST", ONE, update, "Set a model's rate limits in a project.", request=RateLimitUpdate, response=ProjectRateLimit,
                 tag=TAG, permission=WRITE),
    ]  # fmt: skip
