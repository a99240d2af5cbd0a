"""`/v1/organization/audit_logs`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from openhearth.wire.organization.fields import Identifier

Moment = Annotated[int, Meta(ge=0, le=2**53)]
Several = Annotated[list[Identifier], Meta(max_length=100)]


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Unix seconds."""

    gt: Moment | None = None
    gte: Moment | None = None
    lt: Moment | None = None
    lte: Moment | None = None


class AuditLogsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Filters (all must hold; of a list's values any) and the page, newest first."""

    effective_at: Range = Range()
    project_ids: Several = []
    event_types: Several = []
    actor_ids: Several = []
    actor_emails: Annotated[list[Annotated[str, Meta(min_length=1, max_length=320)]], Meta(max_length=100)] = []
    resource_ids: Several = []
    tenant_only: bool = False
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    after: Identifier | None = None
    before: Identifier | None = None


class AuditLogProject(msgspec.Struct, frozen=True):
    id: str
    name: str


class AuditLog(msgspec.Struct, frozen=True):
    """One act. What it was stands in a further field of the type's own name, e.g. `project.created`."""

    id: str
    type: str
    effective_at: int
    actor: dict[str, Any]
    project: AuditLogProject | msgspec.UnsetType = msgspec.UNSET


class AuditLogList(msgspec.Struct, frozen=True):
    data: list[AuditLog]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"
