"""`/v1/organization/admin_api_keys`."""

from __future__ import annotations

import msgspec

from openhearth.accounts.api_keys.admin import AdminKeys
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.admin_api_keys import AdminKey, AdminKeyCreate, AdminKeyDeleted, AdminKeyList, AdminKeysQuery
from openhearth.wire.pagination import page

TAG = "Organization"
READ, WRITE = "api.admin_api_keys.read", "api.admin_api_keys.write"
ALL = "/v1/organization/admin_api_keys"
ONE = ALL + "/{key_id}"


def endpoints(keys: AdminKeys) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def list_all(call: Call) -> Reply:
        query = call.query(AdminKeysQuery)
        return json_reply(page([msgspec.to_builtins(key) for key in await keys.find(query)], query.limit))

    async def create(call: Call) -> Reply:
        return json_reply(await keys.create(call.principal, call.json(AdminKeyCreate)))

    async def get(call: Call) -> Reply:
        return json_reply(await keys.get(call.path("key_id")))

    async def delete(call: Call) -> Reply:
        key_id = call.path("key_id")
        await keys.delete(call.principal, key_id)
        return json_reply(AdminKeyDeleted(key_id))

    return [
        Endpoint("GET", ALL, list_all, "List admin keys.", query=AdminKeysQuery, response=AdminKeyList, tag=TAG, permission=READ),
        Endpoint("POST", ALL, create, "Make an admin key.", request=AdminKeyCreate, response=AdminKey, tag=TAG, permission=WRITE),
        Endpoint("GET", ONE, get, "One admin key.", response=AdminKey, tag=TAG, permission=READ),
        Endpoint("DELETE", ONE, delete, "Revoke an admin key.", response=AdminKeyDeleted, tag=TAG, permission=WRITE),
    ]
