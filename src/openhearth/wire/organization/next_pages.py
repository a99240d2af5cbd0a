"""Pages of the lists that tell where to go on: `{"object": "list", "data": [...], "has_more", "next"}`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from openhearth.wire.organization.fields import Identifier

T = TypeVar("T")
Limit = Annotated[int, Meta(ge=0, le=1000)]
Order = Literal["asc", "desc"]


class NextQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?after=NEXT&limit=N&order=asc|desc`; `after` is the `next` of the page before."""

    after: Identifier | None = None
    limit: Limit = 1000
    order: Order = "asc"


def cut(items: Sequence[T], limit: int, identity: Callable[[T], str]) -> tuple[list[T], bool, str | None]:
    """`data`, `has_more` and `next` of a page. `items`: at most `limit + 1`, the extra one only telling that there is more."""
    data, has_more = list(items[:limit]), len(items) > limit
    return data, has_more, identity(data[-1]) if has_more and data else None
