"""One engine request's candidates, with empty answers drawn again.

A chat-tuned model that is given a bare text often thinks that its turn is over at once: SmolLM2 does so for one plain question in eight.
Models that completions were made for don't. Drawing again changes no other odds. Where nothing is drawn (temperature 0), or a stop
sequence may have cut everything, an empty answer stays.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from openhearth.engines.contract import EngineClient

PATH = "/v1/completions"
REDRAWS = 5
_EMPTY = b'{"choices":[{"text":"",'
_ENDS = b'"finish_reason":"stop"'
_INDEX = b',"index":'
_FIRST = b',"index":0,'


def redraws(request: dict[str, Any]) -> bool:
    """Whether an empty answer to this is drawn again."""
    return request["temperature"] > 0 and "stop" not in request


async def drawn(client: EngineClient, request: dict[str, Any]) -> AsyncGenerator[list[bytes], None]:
    """The engine's bursts of events. The end of an empty candidate is left out, and another one stands for it, under its index."""
    empty: list[int] = []
    bursts = _first_draw(client, request, empty) if redraws(request) else client.stream(PATH, msgspec.json.encode(request))
    async with aclosing(bursts):
        async for burst in bursts:
            yield burst
    for index in empty:
        async with aclosing(_redrawn(client, request, index)) as again:
            async for burst in again:
                yield burst


async def _first_draw(client: EngineClient, request: dict[str, Any], empty: list[int]) -> AsyncGenerator[list[bytes], None]:
    """Puts the numbers of empty candidates into `empty`."""
    begun: set[int] = set()
    count = request.get("n", 1)
    async with aclosing(client.stream(PATH, msgspec.json.encode(request))) as bursts:
        async for burst in bursts:
            if len(begun) == count:
                yield burst
                continue
            kept = [payload for payload in burst if not _ends_empty(payload, begun, empty)]
            if kept:
                yield kept


def _ends_empty(payload: bytes, begun: set[int], empty: list[int]) -> bool:
    index = _index(payload)
    if not payload.startswith(_EMPTY):
        begun.add(index)
        return False
    if _ENDS not in payload or index in begun:
        return False
    begun.add(index)
    empty.append(index)
    return True


def _index(payload: bytes) -> int:
    """A choice's number. A quote inside its text is escaped, so the mark can't be found there."""
    start = payload.find(_INDEX) + len(_INDEX)
    return int(payload[start : payload.find(b",", start)])


async def _redrawn(client: EngineClient, request: dict[str, Any], index: int) -> AsyncGenerator[list[bytes], None]:
    single = {name: value for name, value in request.items() if name != "n"}
    for attempt in range(1, REDRAWS + 1):
        # Far from the seeds of the other candidates, which are consecutive.
        single["seed"] = (request["seed"] + index + attempt * 2**24) % (2**32 - 1)
        empty: list[int] = []
        bursts = client.stream(PATH, msgspec.json.encode(single)) if attempt == REDRAWS else _first_draw(client, single, empty)
        async with aclosing(bursts):
            async for burst in bursts:
                yield [payload.replace(_FIRST, b',"index":%d,' % index, 1) for payload in burst] if index else burst
        if not empty:
            return
