"""`/v1/organization/projects/{project_id}/users`."""

from __future__ import annotations

import msgspec

from openhearth.accounts.project_users.service import ProjectUsers
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.lists import CursorQuery
from openhearth.wire.organization.project_users import (
    ProjectUser,
    ProjectUserCreate,
    ProjectUserDeleted,
    ProjectUserList,
    ProjectUserUpdate,
)
from openhearth.wire.pagination import page

TAG = "Projects"
READ, WRITE = "api.project_users.read", "api.project_users.write"
ALL = "/v1/organization/projects/{project_id}/users"
ONE = ALL + "/{user_id}"


def endpoints(users: ProjectUsers) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def list_all(call: Call) -> Reply:
        query = call.query(CursorQuery)
        found = await users.find(call.path("project_id"), query)
        return json_reply(page([msgspec.to_builtins(user) for user in found], query.limit))

    async def add(call: Call) -> Reply:
        return json_reply(await users.add(call.principal, call.path("project_id"), call.json(ProjectUserCreate)))

    async def get(call: Call) -> Reply:
        return json_reply(await users.get(call.path("project_id"), call.path("user_id")))

    async def update(call: Call) -> Reply:
        wanted = call.json(ProjectUserUpdate)
        return json_reply(await users.update(call.principal, call.path("project_id"), call.path("user_id"), wanted))

    async def remove(call: Call) -> Reply:
        user_id = call.path("user_id")
        await users.remove(call.principal, call.path("project_id"), user_id)
        return json_reply(ProjectUserDeleted(user_id))

    return [
        Endpoint("GET", ALL, list_all, "List a project's users.", query=CursorQuery, response=ProjectUserList, tag=TAG, permission=READ),
        Endpoint("POST", ALL, add, "Add a user to a project.", request=ProjectUserCreate, response=ProjectUser, tag=TAG, permission=WRITE),
        Endpoint("GET", ONE, get, "One user of a project.", response=ProjectUser, tag=TAG, permission=READ),
        Endpoint("POST", ONE, update, "Give a user another role.", request=ProjectUserUpdate, response=ProjectUser, tag=TAG,
                 permission=WRITE),
        Endpoint("DELETE", ONE, remove, "Remove a user from a project.", response=ProjectUserDeleted, tag=TAG, permission=WRITE),
    ]  # fmt: skip
