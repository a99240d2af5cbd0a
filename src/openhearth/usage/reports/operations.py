"""What the reports of each operation have of their own: how they may be asked, what a result looks like, which columns it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from openhearth.accounts.work import Operation
from openhearth.wire.organization import usage as wire
from openhearth.wire.organization import usage_queries as queries
from openhearth.wire.organization.usage_queries import TimeQuery

Counts = Mapping[str, int]
"""Sums by column of `UsageRow`."""
Groups = Mapping[str, Any]
"""Values of the fields that were grouped by."""

COLUMN_OF: Final = {
    "project_id": "project_id",
    "user_id": "user_id",
    "api_key_id": "api_key_id",
    "model": "model",
    "batch": "batch",
    "service_tier": "service_tier",
    "size": "detail",
    "context_level": "detail",
    "vector_store_id": "detail",
    "source": "source",
}
"""Field of `group_by` -> column. `api_source` has none: everything here came through the API itself, which OpenAI calls unlabeled."""
UNLABELED: Final = "unlabeled"

FILTERS: Final = {
    "project_ids": "project_id",
    "user_ids": "user_id",
    "api_key_ids": "api_key_id",
    "models": "model",
    "sizes": "detail",
    "context_levels": "detail",
    "vector_store_ids": "detail",
    "sources": "source",
}


@dataclass(frozen=True)
class Report:
    """One path below `/v1/organization/usage/`."""

    operation: Operation
    query: type[TimeQuery]
    result: type
    made: Callable[[Counts], dict[str, int]]
    """The result's numbers."""
    columns: tuple[str, ...] = field(default=("requests", "input_tokens"))
    """What `made` needs."""


def _tokens(counts: Counts) -> dict[str, int]:
    uncached = counts["input_tokens"] - counts["cached_tokens"]
    return {
        "num_model_requests": counts["requests"],
        "input_tokens": counts["input_tokens"],
        "output_tokens": counts["output_tokens"],
        "input_cached_tokens": counts["cached_tokens"],
        "input_uncached_tokens": uncached,
        "input_text_tokens": max(0, uncached - counts["input_audio_tokens"]),
        "output_text_tokens": max(0, counts["output_tokens"] - counts["output_audio_tokens"]),
        "input_cached_text_tokens": counts["cached_tokens"],
        "input_audio_tokens": counts["input_audio_tokens"],
        "output_audio_tokens": counts["output_audio_tokens"],
    }


_TOKENS = ("requests", "input_tokens", "cached_tokens", "output_tokens", "input_audio_tokens", "output_audio_tokens")
_UNITS = ("requests", "units")


def _input(counts: Counts) -> dict[str, int]:
    return {"num_model_requests": counts["requests"], "input_tokens": counts["input_tokens"]}


def _units(name: str) -> Callable[[Counts], dict[str, int]]:
    return lambda counts: {"num_model_requests": counts["requests"], name: counts["units"]}


REPORTS: Final = (
    Report("completions", queries.ByTier, wire.CompletionsResult, _tokens, _TOKENS),
    Report("decisions", queries.ByTier, wire.DecisionsResult, _tokens, _TOKENS),
    Report("embeddings", queries.ByModel, wire.EmbeddingsResult, _input),
    Report("moderations", queries.ByModel, wire.ModerationsResult, _input),
    Report("images", queries.ByImage, wire.ImagesResult, _units("images"), _UNITS),
    Report("audio_speeches", queries.ByModel, wire.SpeechesResult, _units("characters"), _UNITS),
    Report("audio_transcriptions", queries.ByModel, wire.TranscriptionsResult, _units("seconds"), _UNITS),
    Report("vector_stores", queries.ByProject, wire.VectorStoresResult, lambda counts: {"usage_bytes": counts["units"]}, ("units",)),
    Report(
        "code_interpreter_sessions",
        queries.ByProject,
        wire.CodeInterpreterResult,
        lambda counts: {"num_sessions": counts["units"]},
        ("units",),
    ),
    Report(
        "file_search_calls", queries.ByVectorStore, wire.FileSearchesResult, lambda counts: {"num_requests": counts["units"]}, ("units",)
    ),
    Report("web_search_calls", queries.ByContextLevel, wire.WebSearchesResult, _units("num_requests"), _UNITS),
)
