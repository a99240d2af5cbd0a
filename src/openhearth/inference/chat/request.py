"""A chat request, checked: parameters that contradict each other or can't be honoured are refused here. Starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openhearth.errors import InvalidRequest, UnsupportedParameter
from openhearth.inference.chat.formats import Format, format_of
from openhearth.inference.chat.tools import ToolUse, tool_use
from openhearth.inference.sampling import sampling, stops_of
from openhearth.wire.chat import ChatRequest, ReasoningEffort

_UNSUPPORTED = {
    "audio": "This server's chat models don't speak.",
    "web_search_options": "This server doesn't search the web.",
    "moderation": "This server doesn't moderate chats.",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, with every default filled in."""

    n: int
    max_tokens: int | None
    """None: up to the end of the context."""
    stops: list[str]
    seed: int | None
    sampling: dict[str, Any]
    """In the engine's words."""
    logprobs: int | None
    """How many alternatives to tell at each place; None: no log-probabilities at all."""
    tools: ToolUse | None
    format: Format | None
    reasoning_effort: ReasoningEffort | None
    include_usage: bool

    @property
    def calling(self) -> ToolUse | None:
        """The tools, if the model may or must call them."""
        return self.tools if self.tools is not None and self.tools.mode != "none" else None

    @property
    def scored(self) -> bool:
        """Whether every token's log-probability is told, of plain prose; the engine tells those of calls and formatted replies."""
        return self.logprobs is not None and self.format is None and self.calling is None


def plan(request: ChatRequest) -> Plan:
    """Raises InvalidRequest naming the parameter."""
    _check_supported(request)
    _check_streaming(request)
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequest("'logprobs' must be true when 'top_logprobs' is used.", param="top_logprobs")
    tools = tool_use(request)
    wanted = format_of(request.response_format)
    if wanted is not None and tools is not None and tools.mode == "required":
        # A reply that must be a call has no content to be formatted.
        wanted = None
    return Plan(
        request.n or 1,
        _limit(request),
        stops_of(request.stop),
        request.seed,
        sampling(request),
        (request.top_logprobs or 0) if request.logprobs else None,
        tools,
        wanted,
        request.reasoning_effort,
        bool(request.stream_options and request.stream_options.include_usage),
    )


def _limit(request: ChatRequest) -> int | None:
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise InvalidRequest("Give either 'max_completion_tokens' or the older 'max_tokens', not both.", param="max_tokens")
    return request.max_completion_tokens if request.max_tokens is None else request.max_tokens


def _check_supported(request: ChatRequest) -> None:
    for name, reason in _UNSUPPORTED.items():
        if getattr(request, name) is not None:
            raise UnsupportedParameter(f"{reason} Leave '{name}' out.", param=name)
    if request.modalities is not None and request.modalities != ["text"]:
        raise UnsupportedParameter("Only 'text' is offered as a modality.", param="modalities")
    if request.verbosity not in (None, "medium"):
        raise UnsupportedParameter("The models here have no setting for 'verbosity'; say in a message how long to be.", param="verbosity")
    if request.prompt_cache_retention == "24h":
        raise UnsupportedParameter("Prompts are cached in memory only.", param="prompt_cache_retention")
    if request.prompt_cache_options not in (None, {}, {"mode": "implicit"}):
        raise UnsupportedParameter("Prompts are cached by themselves; only the mode 'implicit' is offered.", param="prompt_cache_options")
    if request.prediction is not None and (request.n or 1) > 1:
        raise InvalidRequest("'prediction' can't be combined with 'n' above 1.", param="prediction")


def _check_streaming(request: ChatRequest) -> None:
    if request.stream_options is None:
        return
    if not request.stream:
        raise InvalidRequest("'stream_options' is only allowed with 'stream': true.", param="stream_options")
    if request.stream_options.include_obfuscation:
        raise UnsupportedParameter("Obfuscation of streams is not offered; leave it out.", param="stream_options.include_obfuscation")
