"""A stream that one engine request answers, passed on almost as it comes: only the envelope around each choice changes; or folded.

For replies in which nothing has to be looked at. Anything that doesn't look as expected is decoded and written anew.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.inference.chat.deltas import Tally
from openhearth.inference.chat.engine import CHAT
from openhearth.inference.chat.replies import Folding
from openhearth.wire.chat_replies import ChunkChoice, EngineChatEvent, ReplyDelta

_HEAD = b'{"choices":[{'
_NO_CHOICE = b'{"choices":[]'
_TAIL = b'}],"created":'
_ROLE = b'"role":"assistant"'
_GOES_ON = b'"finish_reason":null'
_REASONS = b'"delta":{"reasoning_content":'
_DECODER = msgspec.json.Decoder(EngineChatEvent)
_BURST = msgspec.json.Decoder(list[EngineChatEvent])


async def passed_on(client: EngineClient, body: dict[str, Any], tally: Tally, head: bytes, tail: bytes) -> AsyncGenerator[bytes]:
    """One write a burst: `head` + choice + `tail` for each event that has a choice."""
    counted = reasoned = 0
    try:
        async with aclosing(client.stream(CHAT, msgspec.json.encode(body))) as bursts:
            async for payloads in bursts:
                written = []
                for payload in payloads:
                    if payload.startswith(_NO_CHOICE):
                        counted = _finished(payload, counted, tally)
                        continue
                    begins = _ROLE in payload
                    if _GOES_ON in payload and not begins:
                        counted += 1
                        reasoned += _REASONS in payload
                    written.append(b"data: " + head + (_first(payload) if begins else _choice(payload)) + tail)
                if counted:
                    tally.generated(0)
                if written:
                    yield b"".join(written)
    finally:
        if counted or reasoned:
            tally.generated(counted, reasoned)


async def folded(client: EngineClient, body: dict[str, Any], tally: Tally, folding: Folding) -> None:
    """All of it into `folding`."""
    counted = reasoned = 0
    try:
        async with aclosing(client.stream(CHAT, msgspec.json.encode(body))) as bursts:
            async for payloads in bursts:
                for event in _BURST.decode(b"[%b]" % b",".join(payloads)):
                    for choice in event.choices:
                        content, reasoning = choice.delta.content, choice.delta.reasoning_content
                        counted += bool(content or reasoning)
                        reasoned += bool(reasoning)
                        folding.said(choice.index, content, reasoning, choice.finish_reason)
                    if event.usage is not None:
                        tally.finished(event.usage, 0)
                        counted = 0
                tally.generated(0)
    finally:
        tally.generated(counted, reasoned)


def _finished(payload: bytes, counted: int, tally: Tally) -> int:
    usage = _DECODER.decode(payload).usage
    if usage is None:
        return counted
    tally.finished(usage, 0)
    return 0


def _choice(payload: bytes) -> bytes:
    """The JSON of the event's one choice. A quote inside its text is escaped, so the mark after it can't be found too early."""
    end = payload.find(_TAIL)
    if payload.startswith(_HEAD) and end > 0:
        return payload[len(_HEAD) - 1 : end] + b',"logprobs":null}'
    choice = _DECODER.decode(payload).choices[0]
    delta = ReplyDelta(content=choice.delta.content) if choice.delta.content is not None else ReplyDelta()
    finish: Any = choice.finish_reason if choice.finish_reason in (None, "stop", "length") else "stop"
    return msgspec.json.encode(ChunkChoice(choice.index, delta, finish))


def _first(payload: bytes) -> bytes:
    index = _DECODER.decode(payload).choices[0].index
    return msgspec.json.encode(ChunkChoice(index, ReplyDelta(role="assistant", content="", refusal=None)))
