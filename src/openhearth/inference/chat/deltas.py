"""What flows from the engine's side to the client's: pieces of choices, and the count of the work done."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from openhearth.accounts.work import Usage
from openhearth.wire.chat_replies import TokenLogprob
from openhearth.wire.completions import EngineUsage


@dataclass(frozen=True, slots=True)
class CallDelta:
    """More of a tool call: its first piece has the name."""

    index: int
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Delta:
    """More of one choice. The last one of a choice has `finish`."""

    choice: int
    content: str = ""
    reasoning: str = ""
    calls: tuple[CallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: str | None = None

    @property
    def says(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.content or self.reasoning or self.calls or self.logprobs or self.finish)


@dataclass(slots=True)
class Tally:
    """Counts one request. The prompt counts once, whatever is made of it."""

    started: float = field(default_factory=time.perf_counter)
    first_token_s: float | None = None
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int | None = None

    def prompt(self, tokens: int, cached: int = 0) -> None:
        """The prompt's length and how much of it the engine had in its cache; the least counts where several choices read it."""
        self.prompt_tokens = max(self.prompt_tokens, tokens)
        self.cached_tokens = min(cached, tokens) if self.cached_tokens is None else min(self.cached_tokens, cached)

    def generated(self, tokens: int, reasoning: int = 0) -> None:
        if self.first_token_s is None:
            self.first_token_s = time.perf_counter() - self.started
        self.completion_tokens += tokens
        self.reasoning_tokens += reasoning

    def finished(self, usage: EngineUsage, counted: int) -> None:
        """The engine's own count at an answer's end replaces the `counted` events."""
        details = usage.prompt_tokens_details
        self.prompt(usage.prompt_tokens, (details and details.cached_tokens) or 0)
        self.completion_tokens += usage.completion_tokens - counted

    @property
    def usage(self) -> Usage:
        return Usage(
            self.prompt_tokens, self.completion_tokens, self.cached_tokens or 0, min(self.reasoning_tokens, self.completion_tokens)
        )
