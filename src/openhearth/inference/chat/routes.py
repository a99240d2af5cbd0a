"""`POST /v1/chat/completions` and the older `/v1/engines/{engine}/chat/completions`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from openhearth.inference.chat.service import Chat, OnFinished
from openhearth.inference.contract import Inference
from openhearth.web.endpoint import Call, Endpoint, Reply, Stream
from openhearth.wire.chat import ChatRequest
from openhearth.wire.chat_replies import ChatCompletion


def endpoints(house: Inference, on_finished: OnFinished | None = None) -> list[Endpoint]:
    """This module's rows of the route table. `on_finished` is told of replies that are to be stored."""
    service = Chat(house, on_finished)

    async def create(call: Call) -> Reply | Stream:
        return await _answer(service, call, call.json(ChatRequest))

    async def create_of_engine(call: Call) -> Reply | Stream:
        return await _answer(service, call, msgspec.structs.replace(call.json(ChatRequest), model=call.path("engine")))

    return [
        _row("/v1/chat/completions", create, "Answer a conversation."),
        _row("/v1/engines/{engine:path}/chat/completions", create_of_engine, "The same; the model is in the path.", deprecated=True),
    ]


async def _answer(service: Chat, call: Call, request: ChatRequest) -> Reply | Stream:
    if request.stream:
        return Stream(service.stream(call.principal, request))
    return Reply(await service.create(call.principal, request))


def _row(path: str, handler: Callable[[Call], Awaitable[Reply | Stream]], summary: str, *, deprecated: bool = False) -> Endpoint:
    return Endpoint(
        "POST",
        path,
        handler,
        summary,
        request=ChatRequest,
        response=ChatCompletion,
        streams=True,
        tag="Chat",
        permission="api.model.request",
        deprecated=deprecated,
    )
