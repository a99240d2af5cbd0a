"""`/v1/organization/roles` and `/v1/projects/{project_id}/roles`."""

from __future__ import annotations

from openhearth.accounts.roles.service import Roles
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.next_pages import NextQuery, cut
from openhearth.wire.organization.roles import Role, RoleChanges, RoleCreation, RoleDeleted, RoleList

TAG = "Roles"


def endpoints(roles: Roles) -> list[Endpoint]:
    """This module's rows of the route table."""
    return [
        *_of_place(roles, "/v1/organization/roles", "api.roles", "the organization"),
        *_of_place(roles, "/v1/projects/{project_id}/roles", "api.project_roles", "a project"),
    ]


def _project(call: Call) -> str:
    return str(call.scope["path_params"].get("project_id", ""))


def _of_place(roles: Roles, path: str, permission: str, place: str) -> list[Endpoint]:
    read, write, one = permission + ".read", permission + ".write", path + "/{role_id}"

    async def list_all(call: Call) -> Reply:
        query = call.query(NextQuery)
        found = await roles.find(query, _project(call))
        return json_reply(RoleList(*cut(found, query.limit, lambda role: role.id)))

    async def create(call: Call) -> Reply:
        return json_reply(await roles.create(call.principal, call.json(RoleCreation), _project(call)))

    async def get(call: Call) -> Reply:
        return json_reply(await roles.get(call.path("role_id"), _project(call)))

    async def change(call: Call) -> Reply:
        return json_reply(await roles.change(call.principal, call.path("role_id"), call.json(RoleChanges), _project(call)))

    async def delete(call: Call) -> Reply:
        role_id = call.path("role_id")
        await roles.delete(call.principal, role_id, _project(call))
        return json_reply(RoleDeleted(role_id))

    return [
        Endpoint("GET", path, list_all, f"The roles of {place}.", query=NextQuery, response=RoleList, tag=TAG, permission=read),
        Endpoint("POST", path, create, f"Make a role of {place}.", request=RoleCreation, response=Role, tag=TAG, permission=write),
        Endpoint("GET", one, get, f"One role of {place}.", response=Role, tag=TAG, permission=read),
        Endpoint("POST", one, change, f"Change a role of {place}.", request=RoleChanges, response=Role, tag=TAG, permission=write),
        Endpoint("DELETE", one, delete, f"Delete a role of {place}.", response=RoleDeleted, tag=TAG, permission=write),
    ]
