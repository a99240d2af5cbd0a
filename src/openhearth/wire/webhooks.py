"""Webhook endpoints, as `client.webhooks` manages them; deliveries are ours."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]
EventType = Annotated[str, Meta(max_length=64)]
EventTypes = Annotated[list[EventType], Meta(min_length=1, max_length=100)]


class WebhookEndpointCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    event_types: EventTypes
    name: Name
    url: Url


class WebhookEndpointUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays."""

    event_types: EventTypes | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    url: Url | UnsetType = UNSET


class WebhookSecretRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keep_old_secret_active_for_24_hours: bool = False


class WebhookTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    event_type: EventType


class WebhookPageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?after=ID&limit=N`, newest first."""

    after: Annotated[str, Meta(max_length=128)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class WebhookEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    created_at: int
    event_types: list[str]
    name: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    signing_secret_hint: str
    url: str
    updated_at: int


class WebhookEndpointWithSecret(WebhookEndpoint, frozen=True, kw_only=True):
    """Once: when it is made, and when the secret is rotated."""

    signing_secret: str


class WebhookEndpointList(msgspec.Struct, frozen=True):
    data: list[WebhookEndpoint]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class DeletedWebhookEndpoint(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = True
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"


class WebhookEndpointTestResult(msgspec.Struct, frozen=True):
    """`success` says that there was an answer; `status_code` says which."""

    webhook_endpoint_id: str
    event_type: str
    status_code: int
    success: Literal[True] = True
    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"


class WebhookEventTypeList(msgspec.Struct, frozen=True):
    data: list[str]
    object: Literal["list"] = "list"


class WebhookDelivery(msgspec.Struct, frozen=True):
    """One event on its way to one endpoint. `status_code` and `failure`: of the last try. Without the event's content."""

    id: str
    """The event's, which is also its `webhook-id` header."""
    event_type: str
    created_at: int
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    next_attempt_at: int | None
    ended_at: int | None
    status_code: int | None
    failure: str | None
    object: Literal["webhook_delivery"] = "webhook_delivery"


class WebhookDeliveryList(msgspec.Struct, frozen=True):
    """`disabled_at`: since when nothing is sent to the endpoint, because it answered 410."""

    data: list[WebhookDelivery]
    first_id: str | None
    last_id: str | None
    has_more: bool
    disabled_at: int | None
    object: Literal["list"] = "list"
