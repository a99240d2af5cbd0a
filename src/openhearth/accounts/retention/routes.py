"""`/v1/organization/data_retention` and `/v1/organization/projects/{project_id}/data_retention`."""

from __future__ import annotations

from openhearth.accounts.retention.service import Retention
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.data_retention import (
    OrganizationRetention,
    OrganizationRetentionUpdate,
    ProjectRetention,
    ProjectRetentionUpdate,
)

TAG = "Organization"
READ, WRITE = "api.organization.read", "api.organization.write"
PROJECT_READ, PROJECT_WRITE = "api.project_settings.read", "api.project_settings.write"
ORGANIZATION = "/v1/organization/data_retention"
PROJECT = "/v1/organization/projects/{project_id}/data_retention"


def endpoints(retention: Retention) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def get(_call: Call) -> Reply:
        return json_reply(await retention.of_organization())

    async def update(call: Call) -> Reply:
        wanted = call.json(OrganizationRetentionUpdate).retention_type
        return json_reply(await retention.set_for_organization(call.principal, wanted))

    async def get_project(call: Call) -> Reply:
        return json_reply(await retention.of_project(call.path("project_id")))

    async def update_project(call: Call) -> Reply:
        wanted = call.json(ProjectRetentionUpdate).retention_type
        return json_reply(await retention.set_for_project(call.principal, call.path("project_id"), wanted))

    return [
        Endpoint("GET", ORGANIZATION, get, "What may be kept of requests.", response=OrganizationRetention, tag=TAG, permission=READ),
        Endpoint("POST", ORGANIZATION, update, "Settle what may be kept.", request=OrganizationRetentionUpdate,
                 response=OrganizationRetention, tag=TAG, permission=WRITE),
        Endpoint("GET", PROJECT, get_project, "What may be kept in a project.", response=ProjectRetention, tag=TAG,
                 permission=PROJECT_READ),
        Endpoint("POST", PROJECT, update_project, "Settle what may be kept in a project.", request=ProjectRetentionUpdate,
                 response=ProjectRetention, tag=TAG, permission=PROJECT_WRITE),
    ]  # fmt: skip
