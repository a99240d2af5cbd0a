"""`/v1/organization/users`."""

from __future__ import annotations

from openhearth.accounts.people.users.service import Users
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.users import User, UserChanges, UserDeleted, UserList, UsersQuery, shown_user

TAG = "Users"
READ, WRITE = "api.users.read", "api.users.write"
ALL, ONE = "/v1/organization/users", "/v1/organization/users/{user_id}"


def endpoints(users: Users) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def list_all(call: Call) -> Reply:
        query = call.query(UsersQuery)
        found = await users.find(query)
        used = await users.last_uses(found)
        data = [shown_user(row, used.get(row.id)) for row in found[: query.limit]]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return json_reply(UserList(data, first, last, len(found) > query.limit))

    async def get(call: Call) -> Reply:
        row = await users.get(call.path("user_id"))
        return json_reply(shown_user(row, (await users.last_uses([row])).get(row.id)))

    async def change(call: Call) -> Reply:
        row = await users.change(call.principal, call.path("user_id"), call.json(UserChanges))
        return json_reply(shown_user(row, (await users.last_uses([row])).get(row.id)))

    async def remove(call: Call) -> Reply:
        await users.remove(call.principal, call.path("user_id"))
        return json_reply(UserDeleted(call.path("user_id")))

    return [
        Endpoint("GET", ALL, list_all, "List the organization's users.", query=UsersQuery, response=UserList, tag=TAG, permission=READ),
        Endpoint("GET", ONE, get, "One user.", response=User, tag=TAG, permission=READ),
        Endpoint("POST", ONE, change, "Change a user's role.", request=UserChanges, response=User, tag=TAG, permission=WRITE),
        Endpoint("DELETE", ONE, remove, "Remove a user.", response=UserDeleted, tag=TAG, permission=WRITE),
    ]
