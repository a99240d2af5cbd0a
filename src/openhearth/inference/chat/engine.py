"""The engine's events as deltas, whichever of its endpoints a prompt goes to. Changes nothing of what the model said."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

import msgspec

from openhearth.engines.contract import EngineClient
from openhearth.errors import ContextLengthExceeded, InvalidRequest
from openhearth.inference.chat.deltas import CallDelta, Delta, Tally
from openhearth.inference.chat.prompt import ChatPrompt
from openhearth.inference.chat.thoughts import Thoughts
from openhearth.wire.chat_replies import EngineChatChoice, EngineChatEvent, EngineDelta, EngineToolCall, TokenLogprob, TopLogprob
from openhearth.wire.completions import EngineEvent, EngineToken, EngineTop

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
_CHAT = msgspec.json.Decoder(EngineChatEvent)
_TEXT = msgspec.json.Decoder(EngineEvent)


def request(prompt: ChatPrompt, sampling: dict[str, Any], *, seed: int, count: int = 1, **more: Any) -> dict[str, Any]:
    """A request of `count` choices; fields that are None are left out."""
    body = {**sampling, **prompt.fields, "seed": seed, "stream": True, "stream_options": {"include_usage": True}}
    if count > 1:
        body["n"] = count
    return body | {name: value for name, value in more.items() if value is not None}


async def answered(client: EngineClient, prompt: ChatPrompt, body: dict[str, Any], first: int, tally: Tally) -> AsyncGenerator[list[Delta]]:
    """One engine request's choices, numbered from `first`."""
    decoder = Reader(first, tally) if prompt.tokens is None else _Text(first, tally, thinks=prompt.thinks)
    path = CHAT if prompt.tokens is None else TEXT
    try:
        async with aclosing(client.stream(path, msgspec.json.encode(body))) as bursts:
            async for payloads in bursts:
                deltas = [delta for payload in payloads for delta in decoder.read(payload) if delta.says]
                if deltas:
                    yield deltas
    except InvalidRequest as error:
        if "json_schema" not in body or isinstance(error, ContextLengthExceeded):
            raise
        raise InvalidRequest(
            "The engine can't make a grammar of this schema. Simplify it: give every part a 'type', and no part that is only itself again.",
            param="response_format",
            code="unenforceable_schema",
        ) from None


class Reader:
    """Chat completion events, with the first choice numbered `first`; what they count goes to the tally."""

    def __init__(self, first: int, tally: Tally) -> None:
        self._first = first
        self._tally = tally
        self._counted = 0

    def read(self, payload: bytes) -> Iterable[Delta]:
        event = _CHAT.decode(payload)
        for choice in event.choices:
            delta = choice.delta
            if delta.content or delta.tool_calls or delta.reasoning_content:
                self._counted += 1
                self._tally.generated(1, reasoning=1 if delta.reasoning_content else 0)
            yield self._delta(choice, delta)
        if event.usage is not None:
            self._tally.generated(0)
            self._tally.finished(event.usage, self._counted)
            self._counted = 0

    def _delta(self, choice: EngineChatChoice, delta: EngineDelta) -> Delta:
        return Delta(
            self._first + choice.index,
            delta.content or "",
            delta.reasoning_content or "",
            tuple(_call(call) for call in delta.tool_calls or ()),
            logprobs(choice.logprobs.content) if choice.logprobs else (),
            choice.finish_reason,
        )


class _Text:
    """Text completion events; an answer's own usage stands in its last one."""

    def __init__(self, first: int, tally: Tally, *, thinks: bool) -> None:
        self._first = first
        self._tally = tally
        self._thinks = thinks
        self._counted: dict[int, int] = {}
        self._thoughts: dict[int, Thoughts] = {}

    def read(self, payload: bytes) -> Iterable[Delta]:
        event = _TEXT.decode(payload)
        for choice in event.choices:
            if choice.finish_reason is None:
                self._counted[choice.index] = self._counted.get(choice.index, 0) + 1
                self._tally.generated(1)
            elif event.usage is not None:
                self._tally.generated(0)
                self._tally.finished(event.usage, self._counted.get(choice.index, 0))
            told = logprobs(choice.logprobs.content) if choice.logprobs else ()
            thought, answer = self._split(choice.index, choice.text, last=choice.finish_reason is not None)
            self._tally.reasoning_tokens += bool(thought)
            yield Delta(self._first + choice.index, answer, thought, logprobs=told, finish=choice.finish_reason)

    def _split(self, index: int, text: str, *, last: bool) -> tuple[str, str]:
        if index not in self._thoughts:
            self._thoughts[index] = Thoughts(begun=self._thinks)
        thought, answer = self._thoughts[index].feed(text)
        if last:
            more_thought, more_answer = self._thoughts[index].end()
            return thought + more_thought, answer + more_answer
        return thought, answer


def _call(call: EngineToolCall) -> CallDelta:
    function = call.function
    return CallDelta(call.index, function.name if function else None, (function.arguments if function else None) or "")


def logprobs(tokens: Iterable[EngineToken]) -> tuple[TokenLogprob, ...]:
    """The engine's tokens in OpenAI's words."""
    return tuple(
        TokenLogprob(t.token, t.logprob, _bytes(t), [TopLogprob(o.token, o.logprob, _bytes(o)) for o in t.top_logprobs]) for t in tokens
    )


def _bytes(token: EngineToken | EngineTop) -> list[int]:
    return list(token.token.encode()) if token.bytes is None else token.bytes
