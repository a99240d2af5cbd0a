"""`/v1/chat/completions` and below, for completions that were stored."""

from __future__ import annotations

import msgspec

from openhearth.inference.stored_completions.service import StoredCompletions
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.chat_replies import ChatCompletion
from openhearth.wire.pagination import PageQuery, page
from openhearth.wire.stored_completions import (
    StoredCompletionDeleted,
    StoredCompletionList,
    StoredCompletionsQuery,
    StoredCompletionUpdate,
    StoredMessageList,
)

TAG = "Chat"
READ, WRITE = "api.stored_completions.read", "api.stored_completions.write"
ONE = "/v1/chat/completions/{completion_id}"


def endpoints(stored: StoredCompletions) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def list_all(call: Call) -> Reply:
        query = call.query(StoredCompletionsQuery)
        return json_reply(page(await stored.find(call.principal, query), query.limit))

    async def get(call: Call) -> Reply:
        return json_reply(await stored.get(call.principal, call.path("completion_id")))

    async def update(call: Call) -> Reply:
        labels = call.json(StoredCompletionUpdate).metadata or {}
        return json_reply(await stored.relabel(call.principal, call.path("completion_id"), labels))

    async def delete(call: Call) -> Reply:
        completion_id = call.path("completion_id")
        await stored.forget(call.principal, completion_id)
        return json_reply(StoredCompletionDeleted(completion_id))

    async def messages(call: Call) -> Reply:
        query = call.query(PageQuery)
        told = await stored.messages(call.principal, call.path("completion_id"), query)
        return json_reply(page([msgspec.to_builtins(message) for message in told], query.limit))

    return [
        Endpoint(
            "GET", "/v1/chat/completions", list_all, "List stored completions.",
            query=StoredCompletionsQuery, response=StoredCompletionList, tag=TAG, permission=READ,
        ),
        Endpoint("GET", ONE, get, "One stored completion.", response=ChatCompletion, tag=TAG, permission=READ),
        Endpoint(
            "POST", ONE, update, "Replace a stored completion's metadata.", request=StoredCompletionUpdate, response=ChatCompletion,
            tag=TAG,             permission=WRITE,
        ),
        Endpoint("DELETE", ONE, delete, "Delete a stored completion.", response=StoredCompletionDeleted, tag=TAG, permission=WRITE),
        Endpoint("GET", ONE + "/messages", messages, "The messages that it answers.", query=PageQuery, response=StoredMessageList, tag=TAG,
                 permission=READ),
    ]  # fmt: skip
