"""`POST /v1/completions`: the request, the reply and its streamed chunks (one shape), and the engine's events that they are made of."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

MAX_PROMPTS = 1024
"""Prompts in one request."""
MAX_CHOICES = 1024
"""Prompts times `n` or `best_of` in one request."""
MAX_LOGIT_BIAS = 300
MAX_STOPS = 4

TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
PromptPart = Annotated[str | TokenId | list[TokenId], Meta(description="Text, a token id, or a list of token ids; one kind in a request.")]


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`stream_options`. Obfuscation pads chunks against traffic analysis; on your own machine there is none, so only false is honoured."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class CompletionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client may send. None means the same as absent."""

    model: Annotated[str, Meta(max_length=512)] | None = None
    prompt: str | Annotated[list[PromptPart], Meta(min_length=1)] | None = None
    best_of: Annotated[int, Meta(ge=0, le=20)] | None = None
    echo: bool | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: Annotated[dict[str, Annotated[float, Meta(ge=-100, le=100)]], Meta(max_length=MAX_LOGIT_BIAS)] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    max_tokens: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | Annotated[list[Annotated[str, Meta(min_length=1, max_length=1024)]], Meta(max_length=MAX_STOPS)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: Annotated[str, Meta(max_length=512)] | None = None


class PromptTokensDetails(msgspec.Struct, frozen=True):
    cached_tokens: int = 0


class CompletionUsage(msgspec.Struct, frozen=True):
    """Tokens of the whole request: a prompt counts once however many choices it has, every candidate of `best_of` counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class Logprobs(msgspec.Struct, frozen=True):
    """Parallel lists, one entry a token. A prompt's first token has nulls. `text_offset`: characters from the prompt's first."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class Choice(msgspec.Struct, frozen=True):
    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length", "content_filter"] | None


class Completion(msgspec.Struct, frozen=True):
    """A reply, and a chunk of a streamed one: there `usage` is null until the last chunk, and absent if it was not asked for."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[Choice]
    system_fingerprint: str
    usage: CompletionUsage | UnsetType | None = UNSET


class EngineTop(msgspec.Struct, frozen=True):
    """An alternative at one position, as llama.cpp tells it."""

    id: int
    token: str
    logprob: float
    bytes: list[int] | None = None


class EngineToken(msgspec.Struct, frozen=True):
    """A token that was chosen, with the alternatives, likeliest first."""

    id: int
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[EngineTop] = []


class EngineLogprobs(msgspec.Struct, frozen=True):
    content: list[EngineToken] = []


class EngineChoice(msgspec.Struct, frozen=True):
    text: str = ""
    index: int = 0
    logprobs: EngineLogprobs | None = None
    finish_reason: str | None = None


class EnginePromptDetails(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class EngineUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: EnginePromptDetails | None = None


class EngineTimings(msgspec.Struct, frozen=True):
    """llama.cpp's counts, in every event if `timings_per_token` was asked for."""

    cache_n: int = 0
    prompt_n: int = 0
    predicted_n: int = 0


class EngineEvent(msgspec.Struct, frozen=True):
    """One event of an engine's completion stream; fields that we don't use are skipped in decoding."""

    choices: list[EngineChoice] = []
    usage: EngineUsage | None = None
    timings: EngineTimings | None = None


class EngineAnswer(msgspec.Struct, frozen=True):
    """A whole reply of llama.cpp's own `/completion`. `completion_probabilities` lacks tokens that end within a character."""

    tokens: list[int] = []
    stop_type: str = "none"
    completion_probabilities: list[EngineToken] = []
    timings: EngineTimings | None = None
