"""One meter for every answered request: tokens and times, as Prometheus counts them. Never blocks a reply."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram

from openhearth.accounts.work import Usage

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
LABELS_KEPT = 512


class Meter:
    """Counts what engines did. Who asked is not a label: that is the bill's business, not a dashboard's."""

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
