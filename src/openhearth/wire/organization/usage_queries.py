"""What `/v1/organization/usage/...` and `/v1/organization/costs` may be asked: one struct for each path's query string."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Second = Annotated[int, Meta(ge=0, le=253_402_300_799)]
"""Unix seconds, until the year 9999."""
Names = Annotated[list[Annotated[str, Meta(max_length=256)]], Meta(max_length=150)]
Width = Literal["1m", "1h", "1d"]


class TimeQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A range of time, cut into buckets and pages."""

    start_time: Second
    end_time: Second | None = None
    bucket_width: Width = "1d"
    limit: Annotated[int, Meta(ge=1)] | None = None
    page: Annotated[str, Meta(max_length=128)] | None = None


class ByProject(TimeQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    project_ids: Names = []
    group_by: list[Literal["project_id"]] = []


class ByOwner(TimeQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all that have users and keys can be filtered by."""

    project_ids: Names = []
    user_ids: Names = []
    api_key_ids: Names = []


class ByModel(ByOwner, frozen=True, forbid_unknown_fields=True, kw_only=True):
    models: Names = []
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model"]] = []


class ByTier(ByOwner, frozen=True, forbid_unknown_fields=True, kw_only=True):
    models: Names = []
    batch: bool | None = None
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"]] = []


class ByImage(ByOwner, frozen=True, forbid_unknown_fields=True, kw_only=True):
    models: Names = []
    sizes: list[Literal["256x256", "512x512", "1024x1024", "1792x1792", "1024x1792"]] = []
    sources: list[Literal["image.generation", "image.edit", "image.variation"]] = []
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model", "size", "source"]] = []


class ByVectorStore(ByOwner, frozen=True, forbid_unknown_fields=True, kw_only=True):
    vector_store_ids: Names = []
    group_by: list[Literal["project_id", "user_id", "api_key_id", "vector_store_id"]] = []


class ByContextLevel(ByOwner, frozen=True, forbid_unknown_fields=True, kw_only=True):
    models: Names = []
    context_levels: list[Literal["low", "medium", "high"]] = []
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model", "context_level", "api_source"]] = []


class CostsQuery(TimeQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    bucket_width: Literal["1d"] = "1d"
    project_ids: Names = []
    api_key_ids: Names = []
    line_items: Names = []
    group_by: list[Literal["project_id", "user_id", "line_item", "api_key_id", "api_source"]] = []
