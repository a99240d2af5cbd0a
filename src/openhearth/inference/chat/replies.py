"""Deltas -> OpenAI's words: one whole reply (`Folding`), or the chunks of a stream (`Writer`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import msgspec
from msgspec import UNSET, UnsetType

from openhearth.accounts.work import Usage
from openhearth.inference.chat.deltas import CallDelta, Delta
from openhearth.inference.chat.tools import ToolUse
from openhearth.wire import sse
from openhearth.wire.chat_replies import (
    CalledCustom,
    CalledFunction,
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChatUsage,
    ChoiceLogprobs,
    ChunkChoice,
    CompletionTokensDetails,
    CustomDelta,
    CustomToolCall,
    FinishReason,
    FunctionDelta,
    FunctionToolCall,
    PromptTokensDetails,
    ReplyDelta,
    ReplyMessage,
    TokenLogprob,
    ToolCallDelta,
)
from openhearth.wire.ids import new_id

SERVICE_TIER = "default"


@dataclass(frozen=True, slots=True)
class Head:
    """What every chunk of a reply says the same."""

    id: str
    created: int
    model: str
    fingerprint: str

    def completion(self, choices: list[ChatChoice], usage: Usage, metadata: dict[str, str] | UnsetType = UNSET) -> ChatCompletion:
        return ChatCompletion(
            self.id, self.created, self.model, choices, as_usage(usage), self.fingerprint, SERVICE_TIER, metadata=metadata
        )

    def chunk(self, choices: list[ChunkChoice], usage: ChatUsage | UnsetType | None) -> bytes:
        return msgspec.json.encode(ChatChunk(self.id, self.created, self.model, self.fingerprint, SERVICE_TIER, choices, usage=usage))

    def around(self, *, null_usage: bool) -> tuple[bytes, bytes]:
        """What stands before and after a chunk's only choice."""
        before, _, after = self.chunk([], None if null_usage else UNSET).partition(b'"choices":[')
        return before + b'"choices":[', after + b"\n\n"


def as_usage(usage: Usage) -> ChatUsage:
    return ChatUsage(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        PromptTokensDetails(min(usage.cached_tokens, usage.prompt_tokens)),
        CompletionTokensDetails(usage.reasoning_tokens),
    )


def _finish(reason: str, tools: ToolUse | None) -> FinishReason:
    """The engine's word or ours -> OpenAI's."""
    if reason == "tool_calls" and tools is not None and tools.legacy:
        return "function_call"
    return cast("FinishReason", reason) if reason in ("stop", "length", "tool_calls") else "stop"


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: str = ""


@dataclass(slots=True)
class _Choice:
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: str = "stop"

    def call(self, delta: CallDelta) -> tuple[_Call, bool]:
        """The call that a piece belongs to, and whether it is new."""
        new = delta.index not in self.calls
        if new:
            self.calls[delta.index] = _Call(new_id("call_", 24), delta.name or "")
        call = self.calls[delta.index]
        call.arguments += delta.arguments
        return call, new


class Folding:
    """Collects all deltas of a request into one reply."""

    def __init__(self, n: int, tools: ToolUse | None, *, with_logprobs: bool) -> None:
        self._choices = [_Choice() for _ in range(n)]
        self._tools = tools
        self._with_logprobs = with_logprobs

    def add(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            choice = self._choices[delta.choice]
            choice.content.append(delta.content)
            choice.reasoning.append(delta.reasoning)
            choice.logprobs += delta.logprobs
            for call in delta.calls:
                choice.call(call)
            choice.finish = delta.finish or choice.finish

    def said(self, number: int, content: str | None, reasoning: str | None, finish: str | None) -> None:
        """More of a choice that is prose and nothing else."""
        choice = self._choices[number]
        if content:
            choice.content.append(content)
        if reasoning:
            choice.reasoning.append(reasoning)
        choice.finish = finish or choice.finish

    def choices(self) -> list[ChatChoice]:
        return [self._whole(number, choice) for number, choice in enumerate(self._choices)]

    def _whole(self, number: int, choice: _Choice) -> ChatChoice:
        content, reasoning = "".join(choice.content), "".join(choice.reasoning)
        calls = [self._called(call) for _, call in sorted(choice.calls.items())]
        legacy = calls[0].function if calls and self._legacy and isinstance(calls[0], FunctionToolCall) else UNSET
        message = ReplyMessage(
            content or (None if calls else ""),
            tool_calls=calls if calls and not self._legacy else UNSET,
            function_call=legacy,
            reasoning_content=reasoning or UNSET,
        )
        logprobs = ChoiceLogprobs(choice.logprobs if content else None) if self._with_logprobs else None
        return ChatChoice(number, message, _finish(choice.finish, self._tools), logprobs)

    @property
    def _legacy(self) -> bool:
        return self._tools is not None and self._tools.legacy

    def _called(self, call: _Call) -> FunctionToolCall | CustomToolCall:
        if _is_custom(self._tools, call.name):
            return CustomToolCall(call.id, CalledCustom(call.name, call.arguments))
        return FunctionToolCall(call.id, CalledFunction(call.name, call.arguments))


def _is_custom(tools: ToolUse | None, name: str) -> bool:
    tool = tools.tools.get(name) if tools is not None else None
    return tool is not None and tool.custom


class Writer:
    """Turns deltas into chunks, one write for what is ready together."""

    def __init__(self, head: Head, tools: ToolUse | None, *, include_usage: bool) -> None:
        self._head = head
        self._tools = tools
        self._usage = None if include_usage else UNSET
        self._choices: dict[int, _Choice] = {}

    def write(self, deltas: Iterable[Delta]) -> bytes:
        """The chunks of these deltas; a choice's first has its role."""
        return sse.events(self._head.chunk([choice], self._usage) for delta in deltas for choice in self._chunks(delta))

    def ending(self, usage: Usage) -> bytes:
        """The usage chunk where it was asked for, and the end mark."""
        if self._usage is UNSET:
            return sse.DONE
        return sse.event(self._head.chunk([], as_usage(usage))) + sse.DONE

    def _chunks(self, delta: Delta) -> Iterable[ChunkChoice]:
        number = delta.choice
        if number not in self._choices:
            self._choices[number] = _Choice()
            content = None if delta.calls and not delta.content else ""
            yield ChunkChoice(number, ReplyDelta(role="assistant", content=content, refusal=None))
        if delta.reasoning:
            yield ChunkChoice(number, ReplyDelta(reasoning_content=delta.reasoning))
        if delta.content or delta.logprobs:
            logprobs = ChoiceLogprobs(list(delta.logprobs)) if delta.logprobs else None
            yield ChunkChoice(number, ReplyDelta(content=delta.content), logprobs=logprobs)
        for call in delta.calls:
            for told in self._call(self._choices[number], call):
                yield ChunkChoice(number, told)
        if delta.finish:
            yield ChunkChoice(number, ReplyDelta(), _finish(delta.finish, self._tools))

    def _call(self, choice: _Choice, delta: CallDelta) -> Iterable[ReplyDelta]:
        call, new = choice.call(delta)
        if self._tools is not None and self._tools.legacy:
            if new:
                yield ReplyDelta(function_call=FunctionDelta(call.name, ""))
            if delta.arguments:
                yield ReplyDelta(function_call=FunctionDelta(arguments=delta.arguments))
        elif _is_custom(self._tools, call.name):
            if new:
                yield ReplyDelta(tool_calls=[ToolCallDelta(delta.index, call.id, "custom", custom=CustomDelta(call.name, ""))])
            if delta.arguments:
                yield ReplyDelta(tool_calls=[ToolCallDelta(delta.index, custom=CustomDelta(input=delta.arguments))])
        else:
            if new:
                yield ReplyDelta(tool_calls=[ToolCallDelta(delta.index, call.id, "function", FunctionDelta(call.name, ""))])
            if delta.arguments:
                yield ReplyDelta(tool_calls=[ToolCallDelta(delta.index, function=FunctionDelta(arguments=delta.arguments))])
