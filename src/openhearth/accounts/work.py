"""A piece of work that a principal asks for, what it used in the end, and the gates that it passes before it is begun.

Rate limits, spending limits, model permissions and the recording of usage are gates; `app` puts them in a row. A gate knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from openhearth.accounts.principal import Principal

Operation = Literal[
    "completions",
    "embeddings",
    "decisions",
    "moderations",
    "images",
    "audio_speeches",
    "audio_transcriptions",
    "vector_stores",
    "code_interpreter_sessions",
    "file_search_calls",
    "web_search_calls",
]
"""As `/v1/organization/usage/...` tells them apart."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one request, mostly tokens; cached and heard ones are among the prompt's, reasoning and spoken ones among the completion's."""

    prompt_tokens: int
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    units: int = 0
    """What an operation counts beside tokens: images, characters, seconds, bytes, calls."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.input_audio_tokens + other.input_audio_tokens,
            self.output_audio_tokens + other.output_audio_tokens,
            self.units + other.units,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens."""

    input: float = 0.0
    cached_input: float = 0.0
    output: float = 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked for, before it is begun."""

    operation: Operation
    model: str
    """The real model's name, not an alias."""
    expected_input: int
    """Tokens, estimated from the text's length."""
    expected_output: int = 0
    """At most so many tokens, where the request says; 0: it doesn't."""
    price: Price = Price()
    batch: bool = False
    service_tier: str = "default"
    detail: str = ""
    """The operation's own distinction, as usage is grouped by it: an image's size, a vector store."""
    source: str = ""
    """For images: image.generation, image.edit or image.variation."""


Settle = Callable[[Usage | None], None]
"""Told once, when the work is over, what it used; None: it never began. Must not block."""


class Gate(Protocol):
    """Lets work in, or raises (PermissionDenied, RateLimited...). What it reserved is settled by the callable that it gives."""

    async def admit(self, principal: Principal, work: Work) -> Settle | None: ...


class Gates:
    """Gates in a row. Who is refused at one leaves no trace at those before it."""

    def __init__(self, gates: Sequence[Gate] = ()) -> None:
        self._gates = gates

    async def admit(self, principal: Principal, work: Work) -> Settle:
        """Raises what the first gate raises that refuses."""
        settles: list[Settle] = []
        try:
            for gate in self._gates:
                settle = await gate.admit(principal, work)
                settles += [settle] if settle else []
        except BaseException:
            _settle(settles, None)
            raise
        return lambda usage: _settle(settles, usage)


def _settle(settles: Sequence[Settle], usage: Usage | None) -> None:
    for settle in settles:
        settle(usage)
