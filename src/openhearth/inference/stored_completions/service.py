"""Keeping, finding, relabelling and forgetting stored chat completions. A project sees its own only. Knows no HTTP."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from sqlalchemy import Select, select

from openhearth.accounts.principal import Principal
from openhearth.errors import InvalidRequest, NotFound
from openhearth.inference.stored_completions.tables import StoredCompletionRow
from openhearth.store.database import Database
from openhearth.wire.chat import ChatRequest
from openhearth.wire.pagination import PageQuery
from openhearth.wire.stored_completions import StoredCompletionsQuery, StoredMessage

ECHOED = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "tools", "tool_choice", "response_format")
"""Parameters of the request that are kept with its reply: who distils or compares needs them."""
_KEY = re.compile(r'[^"\\\x00-\x1f\x7f]+')

Row = StoredCompletionRow
Kept = dict[str, Any]


class StoredCompletions:
    """All stored completions of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, principal: Principal, request: ChatRequest, reply: Kept) -> None:
        """A whole reply, as it was sent. Durable when this returns. With zero data retention nothing is kept. Raises StorageUnavailable."""
        if principal.policy.zero_retention:
            return
        asked = msgspec.to_builtins(request)
        row = Row(
            id=reply["id"],
            project_id=principal.project_id,
            model=reply["model"],
            created_at=reply["created"],
            labels=dict(request.metadata or {}),
            completion={**reply, **{name: _said(asked[name]) for name in ECHOED}},
            messages=[_said(message) for message in asked["messages"]],
        )
        async with self._database.session() as session:
            session.add(row)

    async def find(self, principal: Principal, query: StoredCompletionsQuery) -> list[Kept]:
        """At most `limit + 1`, so that one sees whether there are more. Raises NotFound for an `after` that isn't there."""
        wanted = select(Row).where(Row.project_id == principal.project_id)
        if query.model is not None:
            wanted = wanted.where(Row.model == query.model)
        for key, value in (query.metadata or {}).items():
            if not _KEY.fullmatch(key):
                raise InvalidRequest(
                    "This metadata key can't be searched for: it has quotation marks, backslashes or control characters.", param="metadata"
                )
            wanted = wanted.where(Row.labels[key].as_string() == value)
        async with self._database.session() as session:
            if query.after is not None:
                after = (await self._row(principal, query.after, "after")).position
                wanted = wanted.where(Row.position > after if query.order == "asc" else Row.position < after)
            rows = (await session.scalars(_ordered(wanted, query))).all()
        return [_shown(row) for row in rows]

    async def get(self, principal: Principal, completion_id: str) -> Kept:
        """Raises NotFound."""
        return _shown(await self._row(principal, completion_id))

    async def relabel(self, principal: Principal, completion_id: str, labels: dict[str, str]) -> Kept:
        """Replace its metadata. Raises NotFound."""
        async with self._database.session() as session:
            row = await session.merge(await self._row(principal, completion_id))
            row.labels = labels
        return _shown(row)

    async def forget(self, principal: Principal, completion_id: str) -> None:
        """Raises NotFound."""
        async with self._database.session() as session:
            await session.delete(await session.merge(await self._row(principal, completion_id)))

    async def messages(self, principal: Principal, completion_id: str, query: PageQuery) -> list[StoredMessage]:
        """The messages that it answers, at most `limit + 1`. Raises NotFound."""
        row = await self._row(principal, completion_id)
        told = [_message(f"{row.id}-{number}", message) for number, message in enumerate(row.messages)]
        if query.order == "desc":
            told.reverse()
        if query.after is not None:
            places = [number for number, message in enumerate(told) if message.id == query.after]
            if not places:
                raise NotFound(f"No message '{query.after[:100]}'.", param="after")
            told = told[places[0] + 1 :]
        return told[: query.limit + 1]

    async def _row(self, principal: Principal, completion_id: str, param: str = "completion_id") -> Row:
        async with self._database.session() as session:
            found = await session.scalar(select(Row).where(Row.id == completion_id, Row.project_id == principal.project_id))
        if found is None:
            raise NotFound(f"No stored chat completion '{completion_id[:100]}'.", param=param)
        return found


def _ordered(wanted: Select[Any], query: PageQuery) -> Select[Any]:
    place = Row.position if query.order == "asc" else Row.position.desc()
    return wanted.order_by(place).limit(query.limit + 1)


def _said(value: Any) -> Any:
    """Without what was left out, wherever it was."""
    if isinstance(value, dict):
        return {name: _said(part) for name, part in value.items() if part is not None}
    return [_said(part) for part in value] if isinstance(value, list) else value


def _shown(row: Row) -> Kept:
    return {**row.completion, "metadata": row.labels}


def _message(message_id: str, message: dict[str, Any]) -> StoredMessage:
    content = message.get("content")
    return StoredMessage(
        message_id,
        message["role"],
        content if isinstance(content, str) else None,
        message.get("name"),
        content if isinstance(content, list) else None,
        message.get("refusal"),
        message.get("tool_calls", msgspec.UNSET),
        message.get("tool_call_id", msgspec.UNSET),
    )
