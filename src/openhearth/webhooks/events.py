"""Events: which there are, and `emit`, which writes them down for every endpoint that wants them. Sends nothing itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.errors import InvalidRequest
from openhearth.webhooks.tables import WebhookDeliveryRow, WebhookEndpointRow
from openhearth.wire.ids import new_id

SUBJECTS: Final = {
    "batch.completed": "batch_",
    "batch.failed": "batch_",
    "batch.expired": "batch_",
    "batch.cancelled": "batch_",
    "response.completed": "resp_",
    "response.failed": "resp_",
    "response.cancelled": "resp_",
    "response.incomplete": "resp_",
    "eval.run.succeeded": "evalrun_",
    "eval.run.failed": "evalrun_",
    "eval.run.canceled": "evalrun_",
    "fine_tuning.job.succeeded": "ftjob-",
    "fine_tuning.job.failed": "ftjob-",
    "fine_tuning.job.cancelled": "ftjob-",
    "organization.spend_alert.triggered": "alert_",
    "project.spend_alert.triggered": "alert_",
}
"""Each type, and how the ids begin of what it is about. The last two are ours; the client's `unwrap` gives them with their `type`."""


def check_types(names: list[str]) -> list[str]:
    """The names, once each. Raises InvalidRequest for one that this server never sends."""
    kept = list(dict.fromkeys(names))
    for name in kept:
        if name not in SUBJECTS:
            raise InvalidRequest(
                f"This server sends no events of type '{name[:100]}'. It has: {', '.join(SUBJECTS)}.",
                param="event_types",
                code="invalid_value",
            )
    return kept


def event(event_type: str, data: Mapping[str, Any]) -> tuple[str, str]:
    """A new event's id, and its body as it is sent."""
    event_id = new_id("evt_", 32)
    body = {"object": "event", "id": event_id, "created_at": int(time.time()), "type": event_type, "data": dict(data)}
    return event_id, msgspec.json.encode(body).decode()


def sample(event_type: str) -> tuple[str, str]:
    """An event about nothing, to try an endpoint with."""
    return event(event_type, {"id": SUBJECTS[event_type] + "test"})


async def emit(session: AsyncSession, project_id: str, event_type: str, data: Mapping[str, Any]) -> str:
    """Tell the project's endpoints that want `event_type`, if the caller's transaction is committed. Gives the event's id.

    `data` is what OpenAI sends with that type: `{"id": ...}`, no contents. Raises ValueError for a type that isn't in `SUBJECTS`.
    """
    if event_type not in SUBJECTS:
        raise ValueError(f"{event_type} is not among the types that endpoints can ask for")
    event_id, body = event(event_type, data)
    now = int(time.time())
    wanted = select(WebhookEndpointRow).where(WebhookEndpointRow.project_id == project_id, WebhookEndpointRow.disabled_at.is_(None))
    for endpoint in await session.scalars(wanted):
        if event_type in endpoint.event_types:
            session.add(
                WebhookDeliveryRow(
                    endpoint_id=endpoint.id,
                    event_id=event_id,
                    event_type=event_type,
                    body=body,
                    created_at=now,
                    attempts=0,
                    next_at=now,
                )
            )
    return event_id
