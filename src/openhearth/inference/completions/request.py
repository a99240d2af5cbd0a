"""A completion request, checked: parameters that contradict each other are refused here, defaults are OpenAI's. Starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openhearth.errors import InvalidRequest, UnsupportedParameter
from openhearth.inference.sampling import sampling, stops_of
from openhearth.wire.completions import MAX_CHOICES, MAX_PROMPTS, CompletionRequest

DEFAULT_MAX_TOKENS = 16
Prompt = str | list[int] | None
"""Text, token ids, or None: the beginning of a document."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, with every default filled in."""

    prompts: list[Prompt]
    n: int
    candidates: int
    """Per prompt: `best_of`, or `n`."""
    max_tokens: int
    echo: bool
    logprobs: int | None
    suffix: str | None
    stops: list[str]
    seed: int | None
    sampling: dict[str, Any]
    """In the engine's words."""
    include_usage: bool

    @property
    def scored(self) -> bool:
        """Whether the log-probability of each generated token is needed."""
        return self.max_tokens > 0 and (self.logprobs is not None or self.candidates > self.n)

    @property
    def total_candidates(self) -> int:
        return len(self.prompts) * self.candidates


def plan(request: CompletionRequest) -> Plan:
    """Raises InvalidRequest naming the parameter."""
    prompts = prompts_of(request.prompt)
    n = request.n or 1
    candidates = n if request.best_of is None else request.best_of
    _check_choices(request, len(prompts), n, candidates)
    _check_streaming(request)
    if request.suffix and request.echo:
        raise UnsupportedParameter("'echo' can't be combined with 'suffix'.", param="echo")
    return Plan(
        prompts,
        n,
        candidates,
        DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens,
        bool(request.echo),
        request.logprobs,
        request.suffix or None,
        stops_of(request.stop),
        request.seed,
        sampling(request),
        bool(request.stream_options and request.stream_options.include_usage),
    )


def prompts_of(prompt: Any) -> list[Prompt]:
    """The four shapes of `prompt` -> a list of prompts. A flat list of numbers is one prompt; an empty text is a document's beginning."""
    if prompt is None or isinstance(prompt, str):
        return [prompt or None]
    kinds = {type(part) for part in prompt}
    if len(kinds) != 1:
        raise InvalidRequest(
            "'prompt' must be a string, a list of strings, a list of token ids or a list of lists of token ids.", param="prompt"
        )
    if kinds == {int}:
        return [prompt]
    if len(prompt) > MAX_PROMPTS:
        raise InvalidRequest(f"'prompt' has {len(prompt)} prompts; at most {MAX_PROMPTS} go into one request.", param="prompt")
    if [] in prompt:
        raise InvalidRequest("'prompt' contains an empty list of tokens.", param="prompt")
    return [part or None for part in prompt]


def _check_choices(request: CompletionRequest, prompts: int, n: int, candidates: int) -> None:
    if candidates < n:
        raise InvalidRequest(f"'best_of' ({candidates}) must be at least 'n' ({n}).", param="best_of")
    if prompts * candidates > MAX_CHOICES:
        name = "n" if request.best_of is None else "best_of"
        raise InvalidRequest(
            f"{prompts} prompts with {name}={candidates} make {prompts * candidates} completions; one request may have {MAX_CHOICES}.",
            param=name,
        )


def _check_streaming(request: CompletionRequest) -> None:
    if request.stream and request.best_of is not None and request.best_of > 1:
        raise InvalidRequest("'best_of' above 1 can't be streamed: the best is known only at the end.", param="best_of")
    if request.stream_options is None:
        return
    if not request.stream:
        raise InvalidRequest("'stream_options' is only allowed with 'stream': true.", param="stream_options")
    if request.stream_options.include_obfuscation:
        raise UnsupportedParameter("Obfuscation of streams is not offered; leave it out.", param="stream_options.include_obfuscation")
