"""`/v1/organization/projects/{project_id}/` `model_permissions`, `hosted_tool_permissions` and `service_tier_settings`."""

from __future__ import annotations

from openhearth.accounts.projects.settled import ProjectSettings
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.project_settings import (
    HostedTools,
    HostedToolsUpdate,
    ModelPermissions,
    ModelPermissionsDeleted,
    ModelPermissionsUpdate,
    ServiceTiers,
    ServiceTiersUpdate,
)

TAG = "Projects"
READ, WRITE = "api.project_settings.read", "api.project_settings.write"
ONE = "/v1/organization/projects/{project_id}"
MODELS, TOOLS, TIERS = ONE + "/model_permissions", ONE + "/hosted_tool_permissions", ONE + "/service_tier_settings"


def endpoints(settings: ProjectSettings) -> list[Endpoint]:
    """This module's rows of the route table."""
    return [*_models(settings), *_tools(settings), *_tiers(settings)]


def _models(settings: ProjectSettings) -> list[Endpoint]:
    async def get(call: Call) -> Reply:
        return json_reply(await settings.models(call.path("project_id")))

    async def update(call: Call) -> Reply:
        return json_reply(await settings.set_models(call.principal, call.path("project_id"), call.json(ModelPermissionsUpdate)))

    async def forget(call: Call) -> Reply:
        await settings.forget_models(call.principal, call.path("project_id"))
        return json_reply(ModelPermissionsDeleted())

    return [
        Endpoint("GET", MODELS, get, "The models that a project may use.", response=ModelPermissions, tag=TAG, permission=READ),
        Endpoint("POST", MODELS, update, "Settle which models a project may use.", request=ModelPermissionsUpdate,
                 response=ModelPermissions, tag=TAG, permission=WRITE),
        Endpoint("DELETE", MODELS, forget, "Let a project use all models.", response=ModelPermissionsDeleted, tag=TAG, permission=WRITE),
    ]  # fmt: skip


def _tools(settings: ProjectSettings) -> list[Endpoint]:
    async def get(call: Call) -> Reply:
        return json_reply(await settings.tools(call.path("project_id")))

    async def update(call: Call) -> Reply:
        return json_reply(await settings.set_tools(call.principal, call.path("project_id"), call.json(HostedToolsUpdate)))

    return [
        Endpoint("GET", TOOLS, get, "The hosted tools that a project may use.", response=HostedTools, tag=TAG, permission=READ),
        Endpoint("POST", TOOLS, update, "Settle which hosted tools a project may use.", request=HostedToolsUpdate, response=HostedTools,
                 tag=TAG, permission=WRITE),
    ]  # fmt: skip


def _tiers(settings: ProjectSettings) -> list[Endpoint]:
    async def get(call: Call) -> Reply:
        return json_reply(await settings.tiers(call.path("project_id")))

    async def update(call: Call) -> Reply:
        return json_reply(await settings.set_tiers(call.principal, call.path("project_id"), call.json(ServiceTiersUpdate)))

    return [
        Endpoint("GET", TIERS, get, "A project's service tiers.", response=ServiceTiers, tag=TAG, permission=READ),
        Endpoint("POST", TIERS, update, "Settle a project's service tiers.", request=ServiceTiersUpdate, response=ServiceTiers, tag=TAG,
                 permission=WRITE),
    ]  # fmt: skip
