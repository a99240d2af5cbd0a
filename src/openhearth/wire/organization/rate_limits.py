"""A project's rate limits, a row for each model."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

MOST = 10**12
Limit = Annotated[int, Meta(ge=0, le=MOST)]
Id = Annotated[str, Meta(max_length=512)]


class RateLimitsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?after=ID&before=ID&limit=N`."""

    after: Id | None = None
    before: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 100


class RateLimitUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    max_requests_per_1_minute: Limit | UnsetType = UNSET
    max_tokens_per_1_minute: Limit | UnsetType = UNSET
    max_images_per_1_minute: Limit | UnsetType = UNSET
    max_audio_megabytes_per_1_minute: Limit | UnsetType = UNSET
    max_requests_per_1_day: Limit | UnsetType = UNSET
    batch_1_day_max_input_tokens: Limit | UnsetType = UNSET


class ProjectRateLimit(msgspec.Struct, frozen=True):
    """The limits in force; those that don't exist are left out."""

    id: str
    model: str
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int
    max_images_per_1_minute: int | UnsetType = UNSET
    max_audio_megabytes_per_1_minute: int | UnsetType = UNSET
    max_requests_per_1_day: int | UnsetType = UNSET
    batch_1_day_max_input_tokens: int | UnsetType = UNSET
    object: Literal["project.rate_limit"] = "project.rate_limit"


class ProjectRateLimitList(msgspec.Struct, frozen=True):
    data: list[ProjectRateLimit]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"
