"""`POST /v1/embeddings` and the older `/v1/engines/{engine}/embeddings`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from openhearth.inference.contract import Inference
from openhearth.inference.embeddings.service import create_embeddings
from openhearth.web.endpoint import Call, Endpoint, Reply
from openhearth.wire.embeddings import EmbeddingList, EmbeddingRequest


def endpoints(house: Inference) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def create(call: Call) -> Reply:
        return Reply(await create_embeddings(house, call.principal, call.json(EmbeddingRequest)))

    async def create_of_engine(call: Call) -> Reply:
        request = msgspec.structs.replace(call.json(EmbeddingRequest), model=call.path("engine"))
        return Reply(await create_embeddings(house, call.principal, request))

    return [
        _row("/v1/embeddings", create, "Turn texts into vectors."),
        _row("/v1/engines/{engine:path}/embeddings", create_of_engine, "The same; the model is in the path.", deprecated=True),
    ]


def _row(path: str, handler: Callable[[Call], Awaitable[Reply]], summary: str, *, deprecated: bool = False) -> Endpoint:
    return Endpoint(
        "POST",
        path,
        handler,
        summary,
        request=EmbeddingRequest,
        response=EmbeddingList,
        tag="Embeddings",
        deprecated=deprecated,
        permission="api.model.request",
    )
