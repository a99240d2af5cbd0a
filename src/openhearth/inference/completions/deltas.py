"""What flows from the engine's side to the client's: pieces of candidates, and the count of the work done."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from openhearth.accounts.work import Usage
from openhearth.inference.completions.scores import PlacedToken
from openhearth.wire.completions import EngineUsage


@dataclass(frozen=True, slots=True)
class Delta:
    """More of one candidate. `candidate` counts over all prompts: prompt * candidates + number."""

    candidate: int
    text: str
    tokens: tuple[PlacedToken, ...] = ()
    finish: str | None = None


@dataclass(slots=True)
class Tally:
    """Counts one request. A prompt counts once, whatever is made of it."""

    started: float = field(default_factory=time.perf_counter)
    first_token_s: float | None = None
    completion_tokens: int = 0
    _prompts: dict[int, tuple[int, int]] = field(default_factory=dict)

    def prompt(self, number: int, tokens: int, cached: int = 0) -> None:
        """A prompt's length and how much of it the engine had in its cache."""
        seen = self._prompts.get(number)
        self._prompts[number] = (tokens, min(cached, tokens) if seen is None else min(seen[1], cached))

    def generated(self, tokens: int) -> None:
        if self.first_token_s is None:
            self.first_token_s = time.perf_counter() - self.started
        self.completion_tokens += tokens

    def finished(self, number: int, usage: EngineUsage, counted: int) -> None:
        """The engine's own count at a candidate's end replaces the `counted` events."""
        details = usage.prompt_tokens_details
        self.prompt(number, usage.prompt_tokens, (details and details.cached_tokens) or 0)
        self.completion_tokens += usage.completion_tokens - counted

    @property
    def usage(self) -> Usage:
        return Usage(
            sum(tokens for tokens, _ in self._prompts.values()),
            self.completion_tokens,
            sum(cached for _, cached in self._prompts.values()),
        )
