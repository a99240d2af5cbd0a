"""The roles of users and groups: `.../users/{user_id}/roles` and `.../groups/{group_id}/roles`, in the organization and in projects."""

from __future__ import annotations

from typing import Any

from openhearth.accounts.roles.assignments import Assignments, Place, PrincipalType
from openhearth.accounts.roles.holders import Holder
from openhearth.accounts.roles.service import after_of
from openhearth.accounts.tables import UserRow
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.next_pages import NextQuery, cut
from openhearth.wire.organization.roles import (
    AssignedRole,
    AssignedRoleList,
    AssignmentDeleted,
    GroupRole,
    Role,
    RoleGroup,
    RoleToGive,
    RoleUser,
    UserRole,
)

TAG = "Roles"


def endpoints(assignments: Assignments) -> list[Endpoint]:
    """This module's rows of the route table."""
    return [
        row
        for base, permission in (("/v1/organization", "api.roles"), ("/v1/projects/{project_id}", "api.project_roles"))
        for row in [
            *_of_kind(assignments, base + "/users/{user_id}/roles", "user", permission, UserRole),
            *_of_kind(assignments, base + "/groups/{group_id}/roles", "group", permission, GroupRole),
        ]
    ]


def _of_kind(assignments: Assignments, path: str, kind: PrincipalType, permission: str, given: Any) -> list[Endpoint]:
    read, write, one = permission + ".read", permission + ".write", path + "/{role_id}"

    def place(call: Call) -> Place:
        return Place(kind, call.path(f"{kind}_id"), str(call.scope["path_params"].get("project_id", "")))

    async def list_all(call: Call) -> Reply:
        query = call.query(NextQuery)
        found = after_of(await assignments.find(place(call)), query, lambda role: role.id)
        return json_reply(AssignedRoleList(*cut(found, query.limit, lambda role: role.id)))

    async def give(call: Call) -> Reply:
        return json_reply(_given(*await assignments.give(call.principal, place(call), call.json(RoleToGive).role_id)))

    async def get(call: Call) -> Reply:
        return json_reply(await assignments.get(place(call), call.path("role_id")))

    async def take(call: Call) -> Reply:
        await assignments.take(call.principal, place(call), call.path("role_id"))
        return json_reply(AssignmentDeleted("user.role.deleted" if kind == "user" else "group.role.deleted"))

    return [
        Endpoint(
            "GET", path, list_all, f"The roles that a {kind} has.", query=NextQuery, response=AssignedRoleList, tag=TAG, permission=read
        ),
        Endpoint("POST", path, give, f"Give a {kind} a role.", request=RoleToGive, response=given, tag=TAG, permission=write),
        Endpoint("GET", one, get, f"One role that a {kind} has.", response=AssignedRole, tag=TAG, permission=read),
        Endpoint("DELETE", one, take, f"Take a role from a {kind}.", response=AssignmentDeleted, tag=TAG, permission=write),
    ]


def _given(holder: Holder, role: Role) -> UserRole | GroupRole:
    if isinstance(holder, UserRow):
        return UserRole(RoleUser(holder.id, holder.name, holder.email, holder.role, holder.added_at), role)
    return GroupRole(RoleGroup(holder.id, holder.name, holder.created_at), role)
