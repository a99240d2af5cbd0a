"""`/v1/organization/projects/{project_id}/service_accounts`."""

from __future__ import annotations

import msgspec

from openhearth.accounts.service_accounts.service import ServiceAccounts
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.lists import CursorQuery
from openhearth.wire.organization.service_accounts import (
    ServiceAccount,
    ServiceAccountCreate,
    ServiceAccountCreated,
    ServiceAccountDeleted,
    ServiceAccountKey,
    ServiceAccountKeyCreate,
    ServiceAccountList,
    ServiceAccountUpdate,
)
from openhearth.wire.pagination import page

TAG = "Projects"
READ, WRITE = "api.service_accounts.read", "api.service_accounts.write"
ALL = "/v1/organization/projects/{project_id}/service_accounts"
ONE = ALL + "/{service_account_id}"


def endpoints(accounts: ServiceAccounts) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def list_all(call: Call) -> Reply:
        query = call.query(CursorQuery)
        found = await accounts.find(call.path("project_id"), query)
        return json_reply(page([msgspec.to_builtins(account) for account in found], query.limit))

    async def create(call: Call) -> Reply:
        return json_reply(await accounts.create(call.principal, call.path("project_id"), call.json(ServiceAccountCreate)))

    async def get(call: Call) -> Reply:
        return json_reply(await accounts.get(*_place(call)))

    async def update(call: Call) -> Reply:
        return json_reply(await accounts.update(call.principal, *_place(call), call.json(ServiceAccountUpdate)))

    async def delete(call: Call) -> Reply:
        await accounts.delete(call.principal, *_place(call))
        return json_reply(ServiceAccountDeleted(call.path("service_account_id")))

    async def create_key(call: Call) -> Reply:
        wanted = call.json(ServiceAccountKeyCreate) if call.body else ServiceAccountKeyCreate()
        return json_reply(await accounts.create_key(call.principal, *_place(call), wanted))

    return [
        Endpoint("GET", ALL, list_all, "List service accounts.", query=CursorQuery, response=ServiceAccountList, tag=TAG, permission=READ),
        Endpoint("POST", ALL, create, "Create a service account.", request=ServiceAccountCreate, response=ServiceAccountCreated, tag=TAG,
                 permission=WRITE),
        Endpoint("GET", ONE, get, "One service account.", response=ServiceAccount, tag=TAG, permission=READ),
        Endpoint("POST", ONE, update, "Change a service account.", request=ServiceAccountUpdate, response=ServiceAccount, tag=TAG,
                 permission=WRITE),
        Endpoint("DELETE", ONE, delete, "End a service account and its keys.", response=ServiceAccountDeleted, tag=TAG, permission=WRITE),
        Endpoint("POST", ONE + "/api_keys", create_key, "Make a key for a service account.", request=ServiceAccountKeyCreate,
                 response=ServiceAccountKey, tag=TAG, permission=WRITE),
    ]  # fmt: skip


def _place(call: Call) -> tuple[str, str]:
    return call.path("project_id"), call.path("service_account_id")
