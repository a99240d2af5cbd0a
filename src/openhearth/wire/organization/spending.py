"""Spend limits and spend alerts, of the organization and of projects."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from openhearth.wire.pagination import PageQuery

Cents = Annotated[int, Meta(ge=0, le=10**12)]
PositiveCents = Annotated[int, Meta(ge=1, le=10**12)]
Address = Annotated[str, Meta(min_length=3, max_length=320, pattern=r"^[^\s@,;<>\"]+@[^\s@,;<>\"]+$")]
"""An e-mail address, as far as can be said without sending anything."""
Prefix = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
"""One line: it goes into a mail's subject."""


class SpendLimitUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole new limit."""

    threshold_amount: PositiveCents
    currency: Literal["USD"]
    interval: Literal["month"]


class Enforcement(msgspec.Struct, frozen=True):
    """enforcing: the month's costs have reached it, and requests are refused."""

    status: Literal["inactive", "enforcing"]


class SpendLimit(msgspec.Struct, frozen=True):
    object: Literal["organization.spend_limit", "project.spend_limit"]
    threshold_amount: int
    enforcement: Enforcement
    currency: Literal["USD"] = "USD"
    interval: Literal["month"] = "month"


class SpendLimitDeleted(msgspec.Struct, frozen=True):
    object: Literal["organization.spend_limit.deleted", "project.spend_limit.deleted"]
    deleted: bool = True


class NotificationChannel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to tell, by mail."""

    type: Literal["email"]
    recipients: Annotated[list[Address], Meta(min_length=1, max_length=50)]
    subject_prefix: Prefix | None = None


class SpendAlertWrite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new alert, or the whole new state of one."""

    threshold_amount: Cents
    currency: Literal["USD"]
    interval: Literal["month"]
    notification_channel: NotificationChannel


class SpendAlert(msgspec.Struct, frozen=True):
    id: str
    object: Literal["organization.spend_alert", "project.spend_alert"]
    threshold_amount: int
    notification_channel: NotificationChannel
    currency: Literal["USD"] = "USD"
    interval: Literal["month"] = "month"


class SpendAlertsQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """`before` is the other way round than `after`: what stands before that alert."""

    before: str | None = None
    limit: Annotated[int, Meta(ge=0, le=100)] = 20


class SpendAlertList(msgspec.Struct, frozen=True):
    data: list[SpendAlert]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class SpendAlertDeleted(msgspec.Struct, frozen=True):
    id: str
    object: Literal["organization.spend_alert.deleted", "project.spend_alert.deleted"]
    deleted: bool = True
