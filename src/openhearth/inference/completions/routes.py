"""`POST /v1/completions` and the older `/v1/engines/{engine}/completions`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from openhearth.inference.completions.service import Completions
from openhearth.inference.contract import Inference
from openhearth.web.endpoint import Call, Endpoint, Reply, Stream
from openhearth.wire.completions import Completion, CompletionRequest


def endpoints(house: Inference) -> list[Endpoint]:
    """This module's rows of the route table."""
    service = Completions(house)

    async def create(call: Call) -> Reply | Stream:
        return await _answer(service, call, call.json(CompletionRequest))

    async def create_of_engine(call: Call) -> Reply | Stream:
        request = msgspec.structs.replace(call.json(CompletionRequest), model=call.path("engine"))
        return await _answer(service, call, request)

    return [
        _row("/v1/completions", create, "Complete a text."),
        _row("/v1/engines/{engine:path}/completions", create_of_engine, "The same; the model is in the path.", deprecated=True),
    ]


async def _answer(service: Completions, call: Call, request: CompletionRequest) -> Reply | Stream:
    if request.stream:
        return Stream(service.stream(call.principal, request))
    return Reply(await service.create(call.principal, request))


def _row(path: str, handler: Callable[[Call], Awaitable[Reply | Stream]], summary: str, *, deprecated: bool = False) -> Endpoint:
    return Endpoint(
        "POST",
        path,
        handler,
        summary,
        request=CompletionRequest,
        response=Completion,
        streams=True,
        tag="Completions",
        permission="api.model.request",
        deprecated=deprecated,
    )
