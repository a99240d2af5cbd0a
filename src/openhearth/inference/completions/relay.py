"""A completion at an upstream server, which speaks OpenAI's wire itself: the request goes on as it came, with its name of the model.

Only id, model and fingerprint of the reply are ours; what the upstream can't do, it says itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from openhearth.engines.contract import EngineSpec
from openhearth.errors import EngineFailed
from openhearth.inference.completions.deltas import Tally
from openhearth.wire import sse
from openhearth.wire.completions import CompletionRequest, EngineUsage

PATH = "/v1/completions"


def upstream_request(request: CompletionRequest, spec: EngineSpec) -> dict[str, Any]:
    """The client's own parameters. Usage is asked for in every stream, because the meter needs it."""
    body = {name: value for name, value in msgspec.to_builtins(request).items() if value is not None}
    body["model"] = spec.options.get("model", spec.id)
    if body.get("stream"):
        body["stream_options"] = {"include_usage": True}
    return body


async def whole(client: Any, request: CompletionRequest, spec: EngineSpec, head: dict[str, Any], tally: Tally) -> dict[str, Any]:
    """The upstream's reply under our name."""
    body = msgspec.json.encode({**upstream_request(request, spec), "stream": False})
    reply = _read(await client.post(PATH, body))
    _count(reply, tally)
    tally.generated(0)
    return {**reply, **head}


async def streamed(
    client: Any, request: CompletionRequest, spec: EngineSpec, head: dict[str, Any], tally: Tally, *, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    """The upstream's events under our name, the usage chunk only for who asked."""
    stream = client.stream(PATH, msgspec.json.encode(upstream_request(request, spec)))
    try:
        async for payloads in stream:
            written = []
            for payload in payloads:
                event = _read(payload)
                _count(event, tally)
                if not include_usage:
                    event.pop("usage", None)
                    if not event["choices"]:
                        continue
                tally.generated(0)
                written.append(msgspec.json.encode({**event, **head}))
            if written:
                yield sse.events(written)
        yield sse.DONE
    finally:
        await stream.aclose()


def _read(payload: bytes) -> dict[str, Any]:
    try:
        reply = msgspec.json.decode(payload, type=dict[str, Any])
    except msgspec.DecodeError:
        raise EngineFailed("The upstream server's answer is not a completion.") from None
    if not isinstance(reply.get("choices"), list):
        raise EngineFailed("The upstream server's answer is not a completion.")
    return reply


def _count(reply: dict[str, Any], tally: Tally) -> None:
    if reply.get("usage"):
        tally.finished(0, msgspec.convert(reply["usage"], EngineUsage), 0)
