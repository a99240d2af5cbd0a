"""Cursor pages: `{"object": "list", "data": [...], "first_id", "last_id", "has_more"}`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?after=ID&limit=N&order=asc|desc`."""

    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "asc"


class Page(msgspec.Struct, frozen=True):
    """One page of things that have an `id`."""

    data: list[Any]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


def page(items: list[Any], limit: int) -> Page:
    """Cut `items` (at most `limit + 1`, the extra one only telling that there is more) to a page."""
    data = items[:limit]
    return Page(data, data[0].id if data else None, data[-1].id if data else None, len(items) > limit)
