"""A chat at an upstream server, which speaks OpenAI's wire itself: the request goes on as it came, with its name of the model.

Only id, model and fingerprint of the reply are ours; what the upstream can't do, it says itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from openhearth.engines.contract import EngineClient, EngineSpec
from openhearth.inference.chat.deltas import Tally
from openhearth.inference.chat.engine import CHAT, Reader
from openhearth.inference.chat.replies import Folding
from openhearth.inference.renaming import EventRenamer, Fields, Renamer, usage
from openhearth.wire.chat import ChatRequest

_NOUN = "chat completion"
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


async def whole(client: EngineClient, request: ChatRequest, spec: EngineSpec, head: dict[str, str], tally: Tally) -> bytes:
    """The upstream's reply under our name, as JSON."""
    renamer = Renamer(head, _NOUN)
    fields = renamer.read(await client.post(CHAT, msgspec.json.encode({**upstream_request(request, spec), "stream": False})))
    _count(tally, fields)
    tally.generated(0)
    return renamer.checked(renamer.written(fields))


async def streamed(
    client: EngineClient,
    request: ChatRequest,
    spec: EngineSpec,
    head: dict[str, str],
    tally: Tally,
    *,
    include_usage: bool,
    folding: Folding | None = None,
) -> AsyncGenerator[bytes]:
    """The upstream's events under our name, the usage chunk only for who asked; without the end mark. `folding` is shown them, too."""
    reader = Reader(0, Tally())
    events = EventRenamer(Renamer(head, _NOUN), with_usage=include_usage)
    async with aclosing(client.stream(CHAT, msgspec.json.encode(upstream_request(request, spec)))) as bursts:
        async for payloads in bursts:
            write = events.feed(payloads, partial(_count, tally))
            if folding:
                folding.add(delta for payload in payloads for delta in reader.read(payload))
            if write:
                tally.generated(0)
                yield write


def _count(tally: Tally, fields: Fields) -> None:
    if told := usage(fields):
        tally.finished(told, 0)
