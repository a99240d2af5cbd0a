"""`POST /v1/decisions`."""

from __future__ import annotations

from openhearth.inference.contract import Inference
from openhearth.inference.decisions.service import Decisions
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.decisions import Decision, DecisionRequest


def endpoints(house: Inference) -> list[Endpoint]:
    """This module's row of the route table."""
    service = Decisions(house)

    async def create(call: Call) -> Reply:
        return json_reply(await service.create(call.principal, call.json(DecisionRequest)))

    return [
        Endpoint(
            "POST",
            "/v1/decisions",
            create,
            "Answer questions about an input, with probabilities.",
            request=DecisionRequest,
            response=Decision,
            tag="Decisions",
            permission="api.model.request",
        )
    ]
