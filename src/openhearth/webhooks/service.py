"""Webhook endpoints: made, listed, changed, tested, deleted. A project sees its own only. Knows no HTTP server.

Where `actor` is None, somebody at the machine itself acts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET, structs
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.audit.record import record
from openhearth.accounts.principal import Principal
from openhearth.accounts.tables import ProjectRow
from openhearth.errors import InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.webhooks.events import check_types, sample
from openhearth.webhooks.sending import Sender
from openhearth.webhooks.signing import new_secret
from openhearth.webhooks.tables import WebhookDeliveryRow, WebhookEndpointRow
from openhearth.webhooks.targets import Targets, parse
from openhearth.wire.ids import new_id
from openhearth.wire.webhooks import WebhookEndpointCreate, WebhookEndpointUpdate, WebhookPageQuery

MOST: Final = 50
"""Endpoints of one project: each event costs a row for each."""
KEPT_SECRET_S: Final = 86400
_FAILURES: Final = {
    "timeout": "it gave no answer in time",
    "unreachable": "no connection could be made",
    "certificate": "its TLS certificate is not valid for it",
    "host_not_found": "its host name can't be resolved",
    "address_not_allowed": "it leads to an address that is not allowed here",
    "not_http": "its answer was not HTTP",
}

Row = WebhookEndpointRow


class Webhooks:
    """The webhook endpoints of one installation."""

    def __init__(self, database: Database, targets: Targets, sender: Sender) -> None:
        self._database = database
        self._targets = targets
        self._sender = sender

    async def create(self, actor: Principal | None, project_id: str, wanted: WebhookEndpointCreate) -> Row:
        """Raises InvalidRequest, NotFound for a project that isn't there."""
        types = check_types(wanted.event_types)
        await self._targets.check(wanted.url)
        now = int(time.time())
        row = Row(
            id=new_id("we_", 32),
            project_id=project_id,
            name=wanted.name,
            url=wanted.url,
            event_types=types,
            secret=new_secret(),
            created_at=now,
            updated_at=now,
        )
        async with self._database.session() as session:
            await _check_room(session, project_id)
            session.add(row)
            _note(session, actor, row, "created")
        return row

    async def list(self, project_id: str, query: WebhookPageQuery) -> list[Row]:
        """Newest first, at most `limit + 1`, so that one sees whether there are more. Raises NotFound for an `after` that isn't there."""
        wanted = select(Row).where(Row.project_id == project_id)
        async with self._database.session() as session:
            if query.after is not None:
                wanted = wanted.where(Row.position < (await _found(session, project_id, query.after, "after")).position)
            return list(await session.scalars(wanted.order_by(Row.position.desc()).limit(query.limit + 1)))

    async def get(self, project_id: str, endpoint_id: str) -> Row:
        """Raises NotFound."""
        async with self._database.session() as session:
            return await _found(session, project_id, endpoint_id)

    async def update(self, actor: Principal | None, project_id: str, endpoint_id: str, wanted: WebhookEndpointUpdate) -> Row:
        """What is left out stays; one that said 410 is sent to again. Raises InvalidRequest, NotFound."""
        changes: dict[str, Any] = {name: value for name, value in structs.asdict(wanted).items() if value is not UNSET}
        if "event_types" in changes:
            changes["event_types"] = check_types(changes["event_types"])
        if "url" in changes:
            await self._targets.check(changes["url"])
        async with self._database.session() as session:
            row = await _found(session, project_id, endpoint_id)
            before = _audited(row)
            new = {name: value for name, value in changes.items() if getattr(row, name) != value}
            for name, value in new.items():
                setattr(row, name, value)
            if new or row.disabled_at is not None:
                row.updated_at, row.disabled_at = int(time.time()), None
                _note(session, actor, row, "updated", before)
        return row

    async def rotate_secret(self, actor: Principal | None, project_id: str, endpoint_id: str, *, keep_old: bool) -> Row:
        """A new secret; with `keep_old` the old one stays valid for a day. Raises NotFound."""
        now = int(time.time())
        async with self._database.session() as session:
            row = await _found(session, project_id, endpoint_id)
            row.old_secret, row.old_secret_until = (row.secret, now + KEPT_SECRET_S) if keep_old else (None, None)
            row.secret, row.updated_at = new_secret(), now
            _note(session, actor, row, "secret_rotated")
        return row

    async def delete(self, actor: Principal | None, project_id: str, endpoint_id: str) -> None:
        """Also what it was not told yet. Raises NotFound."""
        async with self._database.session() as session:
            row = await _found(session, project_id, endpoint_id)
            _note(session, actor, row, "deleted", _audited(row))
            await session.delete(row)

    async def test(self, project_id: str, endpoint_id: str, event_type: str) -> int:
        """Send a sample now, once; the answer's status. Raises InvalidRequest if there was no answer, NotFound."""
        check_types([event_type])
        row = await self.get(project_id, endpoint_id)
        event_id, body = sample(event_type)
        outcome = await self._sender.send(row.url, [row.secret], event_id, body)
        if outcome.failure is not None:
            raise InvalidRequest(
                f"The endpoint could not be told: {_FAILURES[outcome.failure]}.", param="url", code="webhook_not_delivered"
            )
        return outcome.status

    async def deliveries(self, project_id: str, endpoint_id: str, query: WebhookPageQuery) -> tuple[Row, Sequence[WebhookDeliveryRow]]:
        """The endpoint, and what it was told or is to be told: newest first, at most `limit + 1`. Raises NotFound."""
        told = WebhookDeliveryRow
        async with self._database.session() as session:
            row = await _found(session, project_id, endpoint_id)
            wanted = select(told).where(told.endpoint_id == endpoint_id)
            if query.after is not None:
                after = await session.scalar(select(told.position).where(told.endpoint_id == endpoint_id, told.event_id == query.after))
                if after is None:
                    raise NotFound(f"No delivery '{query.after[:100]}'.", param="after")
                wanted = wanted.where(told.position < after)
            return row, (await session.scalars(wanted.order_by(told.position.desc()).limit(query.limit + 1))).all()


async def _found(session: AsyncSession, project_id: str, endpoint_id: str, param: str = "webhook_endpoint_id") -> Row:
    found = await session.scalar(select(Row).where(Row.id == endpoint_id, Row.project_id == project_id))
    if found is None:
        raise NotFound(f"No webhook endpoint '{endpoint_id[:100]}'.", param=param)
    return found


async def _check_room(session: AsyncSession, project_id: str) -> None:
    # Locked, so that two at once don't both see the last free place.
    project = await session.scalar(select(ProjectRow).where(ProjectRow.id == project_id).with_for_update())
    if project is None or project.archived_at is not None:
        raise NotFound(f"No project '{project_id[:100]}'.", param="project_id")
    number = await session.scalar(select(func.count()).select_from(Row).where(Row.project_id == project_id))
    if (number or 0) >= MOST:
        raise InvalidRequest(f"A project has at most {MOST} webhook endpoints. Delete one, or ask for more types on one.")


def _note(session: AsyncSession, actor: Principal | None, row: Row, act: str, before: dict[str, Any] | None = None) -> None:
    """In the audit log as a change of the project: OpenAI's list of events has none for endpoints."""
    changes = {"webhook_endpoint": {"act": act, "id": row.id, **_audited(row)}}
    was = {"webhook_endpoint": before} if before is not None else None
    record(session, actor, "project.updated", row.project_id, changes=changes, before=was, project_id=row.project_id)


def _audited(row: Row) -> dict[str, Any]:
    """Without the URL's path and query: some receivers keep a secret there."""
    return {"name": row.name, "origin": str(parse(row.url).origin()), "event_types": row.event_types}
