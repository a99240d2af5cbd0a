"""A chat at an upstream server, which speaks OpenAI's wire itself: the request goes on as it came, with its name of the model.

Only id, model and fingerprint of the reply are ours; what the upstream can't do, it says itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from openhearth.engines.contract import EngineClient, EngineSpec
from openhearth.errors import EngineFailed
from openhearth.inference.chat.deltas import Tally
from openhearth.inference.chat.engine import CHAT, Reader
from openhearth.inference.chat.replies import Folding
from openhearth.wire import sse
from openhearth.wire.chat import ChatRequest
from openhearth.wire.completions import EngineUsage

_OURS = ("store", "metadata")
"""What this server does itself."""


def upstream_request(request: ChatRequest, spec: EngineSpec) -> dict[str, Any]:
    """The client's own parameters. Usage is asked for in every stream, because the meter needs it."""
    body = {name: value for name, value in msgspec.to_builtins(request).items() if value is not None and name not in _OURS}
    body["messages"] = [{name: value for name, value in message.items() if value is not None} for message in body["messages"]]
    body["model"] = spec.options.get("model", spec.id)
    if body.get("stream"):
        body["stream_options"] = {"include_usage": True}
    return body


async def whole(client: EngineClient, request: ChatRequest, spec: EngineSpec, head: dict[str, Any], tally: Tally) -> dict[str, Any]:
    """The upstream's reply under our name."""
    reply = _read(await client.post(CHAT, msgspec.json.encode({**upstream_request(request, spec), "stream": False})))
    _count(reply, tally)
    tally.generated(0)
    return {**reply, **head}


async def streamed(
    client: EngineClient,
    request: ChatRequest,
    spec: EngineSpec,
    head: dict[str, Any],
    tally: Tally,
    *,
    include_usage: bool,
    folding: Folding | None = None,
) -> AsyncGenerator[bytes]:
    """The upstream's events under our name, the usage chunk only for who asked; without the end mark. `folding` is shown them, too."""
    reader = Reader(0, Tally())
    async with aclosing(client.stream(CHAT, msgspec.json.encode(upstream_request(request, spec)))) as bursts:
        async for payloads in bursts:
            written = []
            for payload in payloads:
                event = _read(payload)
                _count(event, tally)
                if folding:
                    folding.add(reader.read(payload))
                if not event["choices"] and not include_usage:
                    continue
                event["usage"] = event.get("usage")
                if not include_usage:
                    del event["usage"]
                tally.generated(0)
                written.append(msgspec.json.encode({**event, **head}))
            if written:
                yield sse.events(written)


def _read(payload: bytes) -> dict[str, Any]:
    try:
        reply = msgspec.json.decode(payload, type=dict[str, Any])
    except msgspec.DecodeError:
        raise EngineFailed("The upstream server's answer is not a chat completion.") from None
    if not isinstance(reply.get("choices"), list):
        raise EngineFailed("The upstream server's answer is not a chat completion.")
    return reply


def _count(reply: dict[str, Any], tally: Tally) -> None:
    if reply.get("usage"):
        try:
            tally.finished(msgspec.convert(reply["usage"], EngineUsage), 0)
        except msgspec.ValidationError:
            raise EngineFailed("The upstream server's usage is not what OpenAI's wire has.") from None
