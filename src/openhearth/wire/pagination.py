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


def page(items: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """Cut `items` (at most `limit + 1`, the extra one only telling that there is more) to a page; each has an `id`."""
    data = items[:limit]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": len(items) > limit}
