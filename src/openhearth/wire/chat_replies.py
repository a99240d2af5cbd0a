"""`POST /v1/chat/completions`: the whole reply, its streamed chunks, and the engine's events that they are made of."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from openhearth.wire.completions import EngineLogprobs, EngineTimings, EngineUsage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class CalledFunction(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class CalledCustom(msgspec.Struct, frozen=True):
    name: str
    input: str


class FunctionToolCall(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    """A call to a function. `arguments` is always a string of JSON."""

    id: str
    function: CalledFunction


class CustomToolCall(msgspec.Struct, frozen=True, tag_field="type", tag="custom"):
    id: str
    custom: CalledCustom


class ReplyMessage(msgspec.Struct, frozen=True):
    """The model's message. `reasoning_content` is what it thought, where the model reasons; OpenAI keeps that to itself."""

    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: None = None
    annotations: list[Any] = []
    tool_calls: list[FunctionToolCall | CustomToolCall] | UnsetType = UNSET
    function_call: CalledFunction | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET


class TopLogprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(msgspec.Struct, frozen=True):
    """`bytes`: UTF-8 of the token alone, which may end within a character."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(msgspec.Struct, frozen=True):
    content: list[TokenLogprob] | None
    refusal: list[TokenLogprob] | None = None


class ChatChoice(msgspec.Struct, frozen=True):
    index: int
    message: ReplyMessage
    finish_reason: FinishReason
    logprobs: ChoiceLogprobs | None = None


class PromptTokensDetails(msgspec.Struct, frozen=True):
    cached_tokens: int = 0
    audio_tokens: int = 0


class CompletionTokensDetails(msgspec.Struct, frozen=True):
    """A prediction is not used to draft tokens here, so none is accepted or rejected."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class ChatUsage(msgspec.Struct, frozen=True):
    """Tokens of the whole request: the prompt counts once, every choice's completion counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class ChatCompletion(msgspec.Struct, frozen=True):
    """A whole reply. `metadata` stands only in stored ones."""

    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
    system_fingerprint: str
    service_tier: str
    object: Literal["chat.completion"] = "chat.completion"
    metadata: dict[str, str] | UnsetType = UNSET


class FunctionDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class CustomDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class ToolCallDelta(msgspec.Struct, frozen=True):
    """More of a call. `index` in every one; id, type and name in the first."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: FunctionDelta | UnsetType = UNSET
    custom: CustomDelta | UnsetType = UNSET


class ReplyDelta(msgspec.Struct, frozen=True):
    """More of a message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: UnsetType | None = UNSET
    tool_calls: list[ToolCallDelta] | UnsetType = UNSET
    function_call: FunctionDelta | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, frozen=True):
    index: int
    delta: ReplyDelta
    finish_reason: FinishReason | None = None
    logprobs: ChoiceLogprobs | None = None


class ChatChunk(msgspec.Struct, frozen=True):
    """A piece of a streamed reply. `usage`: absent if it was not asked for, else null until the last chunk."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    service_tier: str
    choices: list[ChunkChoice]
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    usage: ChatUsage | UnsetType | None = UNSET


class EngineFunction(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class EngineToolCall(msgspec.Struct, frozen=True):
    index: int = 0
    id: str | None = None
    function: EngineFunction | None = None


class EngineDelta(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[EngineToolCall] | None = None


class EngineChatChoice(msgspec.Struct, frozen=True):
    delta: EngineDelta = EngineDelta()
    index: int = 0
    finish_reason: str | None = None
    logprobs: EngineLogprobs | None = None


class EngineChatEvent(msgspec.Struct, frozen=True):
    """One event of an engine's chat stream; fields that we don't use are skipped in decoding."""

    choices: list[EngineChatChoice] = []
    usage: EngineUsage | None = None
    timings: EngineTimings | None = None
