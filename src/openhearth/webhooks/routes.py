"""`/v1/webhook_endpoints` as `client.webhooks` calls it, `/v1/webhook_event_types`, and our list of deliveries."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.webhooks.events import SUBJECTS
from openhearth.webhooks.service import Webhooks
from openhearth.webhooks.signing import hint
from openhearth.webhooks.tables import WebhookDeliveryRow, WebhookEndpointRow
from openhearth.wire.pagination import page
from openhearth.wire.webhooks import (
    DeletedWebhookEndpoint,
    WebhookDelivery,
    WebhookDeliveryList,
    WebhookEndpoint,
    WebhookEndpointCreate,
    WebhookEndpointList,
    WebhookEndpointTestResult,
    WebhookEndpointUpdate,
    WebhookEndpointWithSecret,
    WebhookEventTypeList,
    WebhookPageQuery,
    WebhookSecretRotation,
    WebhookTest,
)

TAG = "Webhooks"
READ, WRITE = "api.webhooks.read", "api.webhooks.write"
ALL = "/v1/webhook_endpoints"
ONE = ALL + "/{webhook_endpoint_id}"
DELIVERIES = "/openhearth/webhook_endpoints/{webhook_endpoint_id}/deliveries"


def endpoints(webhooks: Webhooks) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def create(call: Call) -> Reply:
        row = await webhooks.create(call.principal, call.principal.project_id, call.json(WebhookEndpointCreate))
        return json_reply(with_secret(row))

    async def list_all(call: Call) -> Reply:
        query = call.query(WebhookPageQuery)
        rows = await webhooks.list(call.principal.project_id, query)
        return json_reply(page([msgspec.to_builtins(shown(row)) for row in rows], query.limit))

    async def get(call: Call) -> Reply:
        return json_reply(shown(await webhooks.get(call.principal.project_id, _id(call))))

    async def update(call: Call) -> Reply:
        wanted = call.json(WebhookEndpointUpdate)
        return json_reply(shown(await webhooks.update(call.principal, call.principal.project_id, _id(call), wanted)))

    async def delete(call: Call) -> Reply:
        await webhooks.delete(call.principal, call.principal.project_id, _id(call))
        return json_reply(DeletedWebhookEndpoint(_id(call)))

    async def rotate(call: Call) -> Reply:
        wanted = call.json(WebhookSecretRotation) if call.body else WebhookSecretRotation()
        keep_old = wanted.keep_old_secret_active_for_24_hours
        return json_reply(
            with_secret(await webhooks.rotate_secret(call.principal, call.principal.project_id, _id(call), keep_old=keep_old))
        )

    async def test(call: Call) -> Reply:
        event_type = call.json(WebhookTest).event_type
        status = await webhooks.test(call.principal.project_id, _id(call), event_type)
        return json_reply(WebhookEndpointTestResult(_id(call), event_type, status))

    async def event_types(_call: Call) -> Reply:
        return json_reply(WebhookEventTypeList(list(SUBJECTS)))

    async def deliveries(call: Call) -> Reply:
        query = call.query(WebhookPageQuery)
        endpoint, rows = await webhooks.deliveries(call.principal.project_id, _id(call), query)
        told = page([msgspec.to_builtins(_delivery(row)) for row in rows], query.limit)
        return json_reply({**told, "disabled_at": endpoint.disabled_at})

    return [
        Endpoint("POST", ALL, create, "Make a webhook endpoint.", request=WebhookEndpointCreate, response=WebhookEndpointWithSecret,
                 tag=TAG, permission=WRITE),
        Endpoint("GET", ALL, list_all, "The project's webhook endpoints, newest first.", query=WebhookPageQuery,
                 response=WebhookEndpointList, tag=TAG, permission=READ),
        Endpoint("GET", "/v1/webhook_event_types", event_types, "The events that there are.", response=WebhookEventTypeList, tag=TAG,
                 permission=READ),
        Endpoint("GET", ONE, get, "One webhook endpoint.", response=WebhookEndpoint, tag=TAG, permission=READ),
        Endpoint("POST", ONE, update, "Change a webhook endpoint.", request=WebhookEndpointUpdate, response=WebhookEndpoint, tag=TAG,
                 permission=WRITE),
        Endpoint("DELETE", ONE, delete, "Delete a webhook endpoint.", response=DeletedWebhookEndpoint, tag=TAG, permission=WRITE),
        Endpoint("POST", ONE + "/rotate_secret", rotate, "Give it a new signing secret.", request=WebhookSecretRotation,
                 response=WebhookEndpointWithSecret, tag=TAG, permission=WRITE),
        Endpoint("POST", ONE + "/test", test, "Send it a sample event now.", request=WebhookTest, response=WebhookEndpointTestResult,
                 tag=TAG, permission=WRITE),
        Endpoint("GET", DELIVERIES, deliveries, "What it was told, and what became of that.", query=WebhookPageQuery,
                 response=WebhookDeliveryList, tag=TAG, permission=READ),
    ]  # fmt: skip


def shown(row: WebhookEndpointRow) -> WebhookEndpoint:
    """An endpoint as the API shows it."""
    return WebhookEndpoint(**_fields(row))


def with_secret(row: WebhookEndpointRow) -> WebhookEndpointWithSecret:
    """The same where the secret may be told."""
    return WebhookEndpointWithSecret(**_fields(row), signing_secret=row.secret)


def _fields(row: WebhookEndpointRow) -> dict[str, Any]:
    same = {name: getattr(row, name) for name in ("id", "created_at", "event_types", "name", "url", "updated_at")}
    return {**same, "signing_secret_hint": hint(row.secret)}


def _delivery(row: WebhookDeliveryRow) -> WebhookDelivery:
    status: Literal["pending", "delivered", "failed"] = "pending"
    if row.ended_at is not None:
        status = "delivered" if 200 <= (row.status or 0) < 300 else "failed"
    next_at = row.next_at if status == "pending" else None
    return WebhookDelivery(
        row.event_id, row.event_type, row.created_at, status, row.attempts, next_at, row.ended_at, row.status or None, row.failure
    )


def _id(call: Call) -> str:
    return call.path("webhook_endpoint_id")
