"""`/v1/organization/projects/{project_id}/api_keys` for who manages a project, `/openhearth/projects/...` for one's own."""

from __future__ import annotations

import msgspec

from openhearth.accounts.api_keys.own import OwnKeys
from openhearth.accounts.api_keys.service import ProjectKeys
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.lists import CursorQuery
from openhearth.wire.organization.project_api_keys import (
    OwnKeyCreate,
    OwnKeyCreated,
    ProjectKey,
    ProjectKeyDeleted,
    ProjectKeyList,
    ProjectKeysQuery,
    ProjectKeyUpdate,
)
from openhearth.wire.pagination import page

TAG = "Projects"
READ, WRITE = "api.project_api_keys.read", "api.project_api_keys.write"
IN_PROJECT = "api.projects.read"
ALL, OWN = "/v1/organization/projects/{project_id}/api_keys", "/openhearth/projects/{project_id}/api_keys"
ONE = "/{api_key_id}"


def endpoints(keys: ProjectKeys, own: OwnKeys) -> list[Endpoint]:
    """This module's rows of the route table."""
    return [*_managed(keys), *_own(own)]


def _managed(keys: ProjectKeys) -> list[Endpoint]:
    async def list_all(call: Call) -> Reply:
        query = call.query(ProjectKeysQuery)
        return _page(await keys.find(call.path("project_id"), query), query.limit)

    async def get(call: Call) -> Reply:
        return json_reply(await keys.get(*_place(call)))

    async def update(call: Call) -> Reply:
        return json_reply(await keys.update(call.principal, *_place(call), call.json(ProjectKeyUpdate)))

    async def delete(call: Call) -> Reply:
        await keys.delete(call.principal, *_place(call))
        return json_reply(ProjectKeyDeleted(call.path("api_key_id")))

    return [
        Endpoint("GET", ALL, list_all, "List a project's keys.", query=ProjectKeysQuery, response=ProjectKeyList, tag=TAG, permission=READ),
        Endpoint("GET", ALL + ONE, get, "One key.", response=ProjectKey, tag=TAG, permission=READ),
        Endpoint("POST", ALL + ONE, update, "Change a key's scopes or its end.", request=ProjectKeyUpdate, response=ProjectKey, tag=TAG,
                 permission=WRITE),
        Endpoint("DELETE", ALL + ONE, delete, "Revoke a key.", response=ProjectKeyDeleted, tag=TAG, permission=WRITE),
    ]  # fmt: skip


def _own(own: OwnKeys) -> list[Endpoint]:
    async def list_own(call: Call) -> Reply:
        query = call.query(CursorQuery)
        return _page(await own.find(call.principal, call.path("project_id"), query), query.limit)

    async def create_own(call: Call) -> Reply:
        return json_reply(await own.create(call.principal, call.path("project_id"), call.json(OwnKeyCreate)))

    async def delete_own(call: Call) -> Reply:
        await own.delete(call.principal, *_place(call))
        return json_reply(ProjectKeyDeleted(call.path("api_key_id")))

    return [
        Endpoint("GET", OWN, list_own, "List one's own keys in a project.", query=CursorQuery, response=ProjectKeyList, tag=TAG,
                 permission=IN_PROJECT),
        Endpoint("POST", OWN, create_own, "Make a key of one's own.", request=OwnKeyCreate, response=OwnKeyCreated, tag=TAG,
                 permission=IN_PROJECT),
        Endpoint("DELETE", OWN + ONE, delete_own, "Revoke a key of one's own.", response=ProjectKeyDeleted, tag=TAG, permission=IN_PROJECT),
    ]  # fmt: skip


def _place(call: Call) -> tuple[str, str]:
    return call.path("project_id"), call.path("api_key_id")


def _page(found: list[ProjectKey], limit: int) -> Reply:
    return json_reply(page([msgspec.to_builtins(key) for key in found], limit))
