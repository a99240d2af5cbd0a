"""`/v1/organization/groups`, their users, and `/v1/organization/projects/{project_id}/groups`."""

from __future__ import annotations

from openhearth.accounts.groups.members import GroupMembers
from openhearth.accounts.groups.projects import ProjectGroups
from openhearth.accounts.groups.service import Groups
from openhearth.accounts.tables import GroupRow
from openhearth.errors import NotFound
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization import groups as wire
from openhearth.wire.organization.next_pages import cut

TAG = "Groups"
PATH, ONE = "/v1/organization/groups", "/v1/organization/groups/{group_id}"
USERS, USER = ONE + "/users", ONE + "/users/{user_id}"
OF_PROJECT, ONE_OF_PROJECT = "/v1/organization/projects/{project_id}/groups", "/v1/organization/projects/{project_id}/groups/{group_id}"
READ, WRITE = "api.groups.read", "api.groups.write"
READ_PROJECT, WRITE_PROJECT = "api.project_users.read", "api.project_users.write"


def endpoints(groups: Groups, members: GroupMembers, projects: ProjectGroups) -> list[Endpoint]:
    """This module's rows of the route table."""
    return [*_groups(groups), *_members(members), *_projects(projects)]


def _groups(groups: Groups) -> list[Endpoint]:
    async def list_all(call: Call) -> Reply:
        query = call.query(wire.GroupsQuery)
        found = [_shown(row) for row in await groups.find(query)]
        return json_reply(wire.GroupList(*cut(found, query.limit, lambda group: group.id)))

    async def create(call: Call) -> Reply:
        return json_reply(_shown(await groups.create(call.principal, call.json(wire.GroupNamed).name)))

    async def get(call: Call) -> Reply:
        return json_reply(_shown(await groups.get(call.path("group_id"))))

    async def rename(call: Call) -> Reply:
        return json_reply(_shown(await groups.rename(call.principal, call.path("group_id"), call.json(wire.GroupNamed).name)))

    async def delete(call: Call) -> Reply:
        group_id = call.path("group_id")
        await groups.delete(call.principal, group_id)
        return json_reply(wire.GroupDeleted(group_id))

    return [
        Endpoint("GET", PATH, list_all, "The groups.", query=wire.GroupsQuery, response=wire.GroupList, tag=TAG, permission=READ),
        Endpoint("POST", PATH, create, "Make a group.", request=wire.GroupNamed, response=wire.Group, tag=TAG, permission=WRITE),
        Endpoint("GET", ONE, get, "One group.", response=wire.Group, tag=TAG, permission=READ),
        Endpoint("POST", ONE, rename, "Rename a group.", request=wire.GroupNamed, response=wire.Group, tag=TAG, permission=WRITE),
        Endpoint("DELETE", ONE, delete, "Delete a group.", response=wire.GroupDeleted, tag=TAG, permission=WRITE),
    ]


def _members(members: GroupMembers) -> list[Endpoint]:
    async def list_all(call: Call) -> Reply:
        query = call.query(wire.GroupUsersQuery)
        found = [wire.GroupUser(user.id, user.name, user.email) for user in await members.find(call.path("group_id"), query)]
        return json_reply(wire.GroupUserList(*cut(found, query.limit, lambda user: user.id)))

    async def add(call: Call) -> Reply:
        group_id, user_id = call.path("group_id"), call.json(wire.GroupUserToAdd).user_id
        await members.add(call.principal, group_id, user_id)
        return json_reply(wire.GroupUserAdded(user_id, group_id))

    async def get(call: Call) -> Reply:
        user = await members.get(call.path("group_id"), call.path("user_id"))
        return json_reply(wire.GroupMember(user.id, user.name, user.email, user.details.get("picture")))

    async def remove(call: Call) -> Reply:
        await members.remove(call.principal, call.path("group_id"), call.path("user_id"))
        return json_reply(wire.GroupUserDeleted())

    users, added = wire.GroupUserList, wire.GroupUserAdded
    return [
        Endpoint("GET", USERS, list_all, "The users of a group.", query=wire.GroupUsersQuery, response=users, tag=TAG, permission=READ),
        Endpoint("POST", USERS, add, "Put a user into a group.", request=wire.GroupUserToAdd, response=added, tag=TAG, permission=WRITE),
        Endpoint("GET", USER, get, "One user of a group.", response=wire.GroupMember, tag=TAG, permission=READ),
        Endpoint("DELETE", USER, remove, "Take a user out of a group.", response=wire.GroupUserDeleted, tag=TAG, permission=WRITE),
    ]


def _projects(projects: ProjectGroups) -> list[Endpoint]:
    async def list_all(call: Call) -> Reply:
        query = call.query(wire.ProjectGroupsQuery)
        found = await projects.find(call.path("project_id"), query)
        return json_reply(wire.ProjectGroupList(*cut(found, query.limit, lambda group: group.group_id)))

    async def add(call: Call) -> Reply:
        wanted = call.json(wire.ProjectGroupToAdd)
        return json_reply(await projects.add(call.principal, call.path("project_id"), wanted.group_id, wanted.role))

    async def get(call: Call) -> Reply:
        group_id, query = call.path("group_id"), call.query(wire.ProjectGroupQuery)
        group = await projects.get(call.path("project_id"), group_id)
        if query.group_type != group.group_type:
            raise NotFound(f"No group '{group_id[:100]}' of type '{query.group_type}' in this project.", param="group_id")
        return json_reply(group)

    async def remove(call: Call) -> Reply:
        await projects.remove(call.principal, call.path("project_id"), call.path("group_id"))
        return json_reply(wire.ProjectGroupDeleted())

    return [
        Endpoint("GET", OF_PROJECT, list_all, "The groups of a project.", query=wire.ProjectGroupsQuery, response=wire.ProjectGroupList,
                 tag=TAG, permission=READ_PROJECT),
        Endpoint("POST", OF_PROJECT, add, "Add a group to a project.", request=wire.ProjectGroupToAdd, response=wire.ProjectGroup,
                 tag=TAG, permission=WRITE_PROJECT),
        Endpoint("GET", ONE_OF_PROJECT, get, "One group of a project.", query=wire.ProjectGroupQuery, response=wire.ProjectGroup,
                 tag=TAG, permission=READ_PROJECT),
        Endpoint("DELETE", ONE_OF_PROJECT, remove, "Take a group out of a project.", response=wire.ProjectGroupDeleted,
                 tag=TAG, permission=WRITE_PROJECT),
    ]  # fmt: skip


def _shown(row: GroupRow) -> wire.Group:
    return wire.Group(row.id, row.name, row.created_at)
