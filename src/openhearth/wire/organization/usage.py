"""What `/v1/organization/usage/...` and `/v1/organization/costs` answer. A field of `group_by` is null where it wasn't asked for.

A page may have tens of thousands of results; they hold no containers, so the garbage collector need not look at them (`gc=False`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class GroupedByOwner(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None


class GroupedByModel(GroupedByOwner, frozen=True, kw_only=True, gc=False):
    model: str | None = None
    num_model_requests: int


class GroupedByTier(GroupedByModel, frozen=True, kw_only=True, gc=False):
    """Tokens read and written. Nothing here writes to a cache for money or reads images yet: those are 0."""

    batch: bool | None = None
    service_tier: str | None = None
    api_source: str | None = None
    input_tokens: int
    output_tokens: int
    input_cached_tokens: int
    input_uncached_tokens: int
    input_text_tokens: int
    output_text_tokens: int
    input_cached_text_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    input_cached_audio_tokens: int = 0
    input_cache_write_tokens: int = 0
    input_image_tokens: int = 0
    input_cached_image_tokens: int = 0
    output_image_tokens: int = 0


class CompletionsResult(GroupedByTier, frozen=True, kw_only=True, gc=False):
    object: Literal["organization.usage.completions.result"] = "organization.usage.completions.result"


class DecisionsResult(GroupedByTier, frozen=True, kw_only=True, gc=False):
    object: Literal["organization.usage.decisions.result"] = "organization.usage.decisions.result"


class EmbeddingsResult(GroupedByModel, frozen=True, kw_only=True, gc=False):
    input_tokens: int
    object: Literal["organization.usage.embeddings.result"] = "organization.usage.embeddings.result"


class ModerationsResult(GroupedByModel, frozen=True, kw_only=True, gc=False):
    input_tokens: int
    object: Literal["organization.usage.moderations.result"] = "organization.usage.moderations.result"


class ImagesResult(GroupedByModel, frozen=True, kw_only=True, gc=False):
    images: int
    size: str | None = None
    source: str | None = None
    object: Literal["organization.usage.images.result"] = "organization.usage.images.result"


class SpeechesResult(GroupedByModel, frozen=True, kw_only=True, gc=False):
    characters: int
    object: Literal["organization.usage.audio_speeches.result"] = "organization.usage.audio_speeches.result"


class TranscriptionsResult(GroupedByModel, frozen=True, kw_only=True, gc=False):
    seconds: int
    object: Literal["organization.usage.audio_transcriptions.result"] = "organization.usage.audio_transcriptions.result"


class VectorStoresResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    usage_bytes: int
    project_id: str | None = None
    object: Literal["organization.usage.vector_stores.result"] = "organization.usage.vector_stores.result"


class CodeInterpreterResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    num_sessions: int
    project_id: str | None = None
    object: Literal["organization.usage.code_interpreter_sessions.result"] = "organization.usage.code_interpreter_sessions.result"


class FileSearchesResult(GroupedByOwner, frozen=True, kw_only=True, gc=False):
    num_requests: int
    vector_store_id: str | None = None
    object: Literal["organization.usage.file_searches.result"] = "organization.usage.file_searches.result"


class WebSearchesResult(GroupedByModel, frozen=True, kw_only=True, gc=False):
    num_requests: int
    context_level: str | None = None
    api_source: str | None = None
    object: Literal["organization.usage.web_searches.result"] = "organization.usage.web_searches.result"


class Amount(msgspec.Struct, frozen=True, gc=False):
    value: float
    """Dollars."""
    currency: Literal["usd"] = "usd"


class CostsResult(GroupedByOwner, frozen=True, kw_only=True, gc=False):
    amount: Amount
    line_item: str | None = None
    """`MODEL, input`, `MODEL, cached input` or `MODEL, output`."""
    quantity: float | None = None
    quantity_unit: Literal["tokens"] | None = None
    api_source: str | None = None
    object: Literal["organization.costs.result"] = "organization.costs.result"


class Bucket(msgspec.Struct, frozen=True):
    """`results` is empty where nothing was used."""

    start_time: int
    end_time: int
    results: list[Any]
    object: Literal["bucket"] = "bucket"


class UsagePage(msgspec.Struct, frozen=True):
    data: list[Bucket]
    has_more: bool
    next_page: str | None
    object: Literal["page"] = "page"
