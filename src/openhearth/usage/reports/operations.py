"""What the reports of each operation have of their own: how they may be asked, what a result looks like, which columns it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from openhearth.accounts.work import Operation
from openhearth.wire.organization import usage as wire
from openhearth.wire.organization import usage_queries as queries
from openhearth.wire.organization.usage_queries import TimeQuery

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
    made: Callable[..., dict[str, int]]
    """The result's numbers, from the sums of `columns`."""
    columns: tuple[str, ...] = field(default=("requests", "input_tokens"))


def _tokens(requests: int, read: int, cached: int, written: int, heard: int, spoken: int) -> dict[str, int]:
    return {
        "num_model_requests": requests,
        "input_tokens": read,
        "output_tokens": written,
        "input_cached_tokens": cached,
        "input_uncached_tokens": read - cached,
        "input_text_tokens": max(0, read - cached - heard),
        "output_text_tokens": max(0, written - spoken),
        "input_cached_text_tokens": cached,
        "input_audio_tokens": heard,
        "output_audio_tokens": spoken,
    }


def _input(requests: int, read: int) -> dict[str, int]:
    return {"num_model_requests": requests, "input_tokens": read}


def _counted(name: str) -> Callable[[int, int], dict[str, int]]:
    return lambda requests, units: {"num_model_requests": requests, name: units}


def _only(name: str) -> Callable[[int], dict[str, int]]:
    return lambda units: {name: units}


_TOKENS = ("requests", "input_tokens", "cached_tokens", "output_tokens", "input_audio_tokens", "output_audio_tokens")
_UNITS = ("requests", "units")

REPORTS: Final = (
    Report("completions", queries.ByTier, wire.CompletionsResult, _tokens, _TOKENS),
    Report("decisions", queries.ByTier, wire.DecisionsResult, _tokens, _TOKENS),
    Report("embeddings", queries.ByModel, wire.EmbeddingsResult, _input),
    Report("moderations", queries.ByModel, wire.ModerationsResult, _input),
    Report("images", queries.ByImage, wire.ImagesResult, _counted("images"), _UNITS),
    Report("audio_speeches", queries.ByModel, wire.SpeechesResult, _counted("characters"), _UNITS),
    Report("audio_transcriptions", queries.ByModel, wire.TranscriptionsResult, _counted("seconds"), _UNITS),
    Report("vector_stores", queries.ByProject, wire.VectorStoresResult, _only("usage_bytes"), ("units",)),
    Report(
        "code_interpreter_sessions",
        queries.ByProject,
        wire.CodeInterpreterResult,
        _only("num_sessions"),
        ("units",),
    ),
    Report("file_search_calls", queries.ByVectorStore, wire.FileSearchesResult, _only("num_requests"), ("units",)),
    Report("web_search_calls", queries.ByContextLevel, wire.WebSearchesResult, _counted("num_requests"), _UNITS),
)
