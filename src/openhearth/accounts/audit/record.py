"""Writing the audit log: in the same transaction as the act, so that neither is there without the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.audit.tables import AuditLogRow
from openhearth.accounts.principal import Principal
from openhearth.wire.ids import new_id
from openhearth.wire.organization.audit_events import EVENT_TYPES

COMMAND_LINE: Mapping[str, Any] = {
    "type": "api_key",
    "api_key": {"id": "local", "type": "service_account", "service_account": {"id": "local"}},
}
"""Who acts at the machine itself, through `openhearth ...`."""


def record(
    session: AsyncSession,
    actor: Principal | None,
    event: str,
    resource_id: str,
    *,
    data: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
    fields: Mapping[str, Any] | None = None,
    project_id: str | None = None,
) -> None:
    """One act. `event`: as OpenAI names it (`project.created`). `data`: what was made; `changes` and `before`: what became of what;
    `fields`: what the event's type has beside these.

    `actor` None: somebody at the machine itself. Nothing secret may be in it: no key, no password, no token.
    """
    if event not in EVENT_TYPES:
        raise ValueError(f"{event} is none of OpenAI's event types")
    details: dict[str, Any] = {"id": resource_id, **(fields or {})}
    for name, value in (("data", data), ("changes_requested", changes), ("before", before)):
        if value is not None:
            details[name] = dict(value)
    shown = _actor(actor)
    subject = shown.get("session", {}).get("user") or shown.get("api_key", {}).get("user") or {}
    session.add(
        AuditLogRow(
            id="audit_log-" + new_id("", 24),
            effective_at=int(time.time()),
            type=event,
            project_id=project_id,
            actor_id=actor.owner_id if actor else "local",
            actor_key_id=shown.get("api_key", {}).get("id"),
            actor_email=subject.get("email"),
            resource_id=resource_id,
            actor=shown,
            details=details,
        )
    )


def _actor(actor: Principal | None) -> dict[str, Any]:
    if actor is None:
        return dict(COMMAND_LINE)
    shown = dict(actor.access.actor)
    if shown.get("type") == "session":
        shown["session"] = {**shown["session"], "ip_address": actor.address, "user_agent": actor.user_agent}
    else:
        shown["ip_address"], shown["user_agent"] = actor.address, actor.user_agent
    return shown
