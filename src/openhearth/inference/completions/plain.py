"""Generation without log-probabilities: the engine's own completion stream, several candidates of a prompt in one request of it.

A stream that one engine request can answer is passed on almost as it comes (`passed_on`): only the envelope around each choice changes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.inference.completions.deltas import Delta, Tally
from openhearth.inference.completions.drawing import drawn
from openhearth.inference.completions.prompts import Ready
from openhearth.inference.completions.request import Plan
from openhearth.inference.generation import lanes, seeds
from openhearth.wire.completions import EngineEvent

_HEAD = b'{"choices":['
_TAIL = b'],"created":'
_EMPTY = b'{"choices":[{"text":"",'
_GOES_ON = b'"finish_reason":null'
_DECODER = msgspec.json.Decoder(EngineEvent)


def engine_request(plan: Plan, prompt: Ready, count: int, seed: int) -> dict[str, Any]:
    """One request of `count` candidates."""
    request = {**plan.sampling, "prompt": prompt.input, "max_tokens": plan.max_tokens, "seed": seed, "stream": True}
    if count > 1:
        request["n"] = count
    if plan.stops:
        request["stop"] = plan.stops
    return request


async def generate(client: EngineClient, plan: Plan, prompts: list[Ready], slots: int, tally: Tally) -> AsyncGenerator[list[Delta], None]:
    """All candidates of all prompts, side by side in the granted slots."""
    chosen = seeds(plan.seed, plan.candidates)
    width = min(slots, plan.candidates)
    groups = [(number, first) for number in range(len(prompts)) for first in range(0, plan.candidates, width)]

    def job(number: int, first: int) -> Any:
        count = min(width, plan.candidates - first)
        request = engine_request(plan, prompts[number], count, chosen[first])
        return lambda: drawn(client, request)

    streams = lanes([job(*group) for group in groups], max(1, slots // width))
    counted: dict[int, int] = {}
    async with aclosing(streams):
        async for batch in streams:
            deltas = []
            for group, payloads in batch:
                number, first = groups[group]
                deltas += [
                    delta for payload in payloads for delta in _read(payload, number, number * plan.candidates + first, counted, tally)
                ]
            if deltas:
                yield deltas


def _read(payload: bytes, prompt: int, base: int, counted: dict[int, int], tally: Tally) -> list[Delta]:
    event = _DECODER.decode(payload)
    deltas = []
    for choice in event.choices:
        candidate = base + choice.index
        if choice.finish_reason is None:
            counted[candidate] = counted.get(candidate, 0) + 1
            tally.generated(1)
        elif event.usage is not None:
            tally.generated(0)
            tally.finished(prompt, event.usage, counted.get(candidate, 0))
        if choice.text or choice.finish_reason:
            deltas.append(Delta(candidate, choice.text, (), _reason(choice.finish_reason)))
    return deltas


def _reason(engine: str | None) -> str | None:
    return engine if engine in (None, "stop", "length") else "stop"


async def passed_on(client: EngineClient, plan: Plan, prompt: Ready, tally: Tally, head: bytes, tail: bytes) -> AsyncGenerator[bytes, None]:
    """The engine's stream as the client's, one write a burst: `head` + choice + `tail` for each event."""
    seed = seeds(plan.seed, plan.candidates)[0]
    stream = drawn(client, engine_request(plan, prompt, plan.candidates, seed))
    counted = 0
    try:
        async for payloads in stream:
            written = []
            for payload in payloads:
                if _GOES_ON in payload:
                    counted += 1
                    if payload.startswith(_EMPTY):
                        continue
                else:
                    counted = _finished(payload, counted, tally)
                written.append(b"data: " + head + _choice(payload) + tail)
            tally.generated(0)
            if written:
                yield b"".join(written)
    finally:
        tally.generated(counted)
        await stream.aclose()


def _finished(payload: bytes, counted: int, tally: Tally) -> int:
    usage = _DECODER.decode(payload).usage
    if usage is None:
        return counted
    tally.finished(0, usage, 0)
    return 0


def _choice(payload: bytes) -> bytes:
    """The JSON of the event's one choice. A quote inside its text is escaped, so the mark after it can't be found too early."""
    end = payload.find(_TAIL)
    if payload.startswith(_HEAD) and end > 0:
        return payload[len(_HEAD) : end]
    event = _DECODER.decode(payload)
    return b",".join(
        msgspec.json.encode({"text": c.text, "index": c.index, "logprobs": None, "finish_reason": _reason(c.finish_reason)})
        for c in event.choices
    )
