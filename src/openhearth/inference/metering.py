"""One meter for every answered request: tokens and times, as Prometheus counts them. Never blocks a reply."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram

from openhearth.accounts.keys import Principal

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
LABELS_KEPT = 512


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request; cached ones are among the prompt's, reasoning ones among the completion's."""

    prompt_tokens: int
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


class Meter:
    """Counts what engines did for whom. A principal is not a label: that is the bill's business, not a dashboard's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._tokens = Counter(
            "openhearth_tokens", "Tokens that engines read and wrote.", ("operation", "model", "kind"), registry=registry
        )
        self._first_token = Histogram(
            "openhearth_first_token_seconds", "Request to first token.", ("operation", "model"), buckets=_SECONDS, registry=registry
        )
        self._duration = Histogram(
            "openhearth_answer_seconds", "Request to last token.", ("operation", "model"), buckets=_SECONDS, registry=registry
        )

        # To find a labelled counter costs more than to count.
        self._tokens_of = lru_cache(LABELS_KEPT)(self._tokens.labels)
        self._first_token_of = lru_cache(LABELS_KEPT)(self._first_token.labels)
        self._duration_of = lru_cache(LABELS_KEPT)(self._duration.labels)

    def record(
        self,
        principal: Principal,
        operation: str,
        model: str,
        usage: Usage,
        *,
        duration_s: float,
        first_token_s: float | None = None,
    ) -> None:
        """Called once per request, also when the client left: with what was done until then. `operation`: chat, completion, embedding..."""
        self._tokens_of(operation, model, "input").inc(usage.prompt_tokens)
        self._tokens_of(operation, model, "cached").inc(usage.cached_tokens)
        self._tokens_of(operation, model, "output").inc(usage.completion_tokens)
        self._duration_of(operation, model).observe(duration_s)
        if first_token_s is not None:
            self._first_token_of(operation, model).observe(first_token_s)
