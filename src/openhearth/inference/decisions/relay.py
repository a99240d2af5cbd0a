"""Decisions at an upstream server that offers `/v1/decisions` itself: the request goes on as it came, with its name of the model."""

from __future__ import annotations

from typing import Any

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.errors import EngineFailed, InvalidRequest
from openhearth.inference.decisions.judge import Tally
from openhearth.models.resolve import ResolvedModel
from openhearth.wire.decisions import Decision, DecisionRequest

PATH = "/v1/decisions"
REFUSED = "engine_refused"
"""The code of a refusal for which the upstream gave no code of its own: it may not know the path at all."""
_ITS_OWN = ("input", "data")


async def relayed(client: EngineClient, request: DecisionRequest, model: ResolvedModel, tally: Tally) -> Decision:
    """The upstream's answers under our name of the model. Raises InvalidRequest where it doesn't offer decisions."""
    body = _given(msgspec.to_builtins(request))
    body["model"] = model.spec.options.get("model", model.id)
    try:
        reply = await client.post(PATH, msgspec.json.encode(body))
    except InvalidRequest as error:
        if error.code != REFUSED or error.param:
            raise
        raise InvalidRequest(
            f"{error.message} If it doesn't offer {PATH}, use a chat model that runs on this server.", param="model", code=REFUSED
        ) from None
    try:
        decision = msgspec.json.decode(reply, type=Decision)
    except msgspec.DecodeError:
        raise EngineFailed("The upstream server's answer is not a decision.") from None
    usage = decision.usage
    tally.input, tally.output, tally.cached = usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens
    return msgspec.structs.replace(decision, model=model.id)


def _given(value: Any) -> Any:
    """Without what the client left out. Nulls inside its own data stay."""
    if isinstance(value, list):
        return [_given(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {name: part if name in _ITS_OWN else _given(part) for name, part in value.items() if part is not None}
