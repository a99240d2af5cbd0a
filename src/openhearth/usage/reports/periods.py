"""Time ranges cut into buckets and pages, and which roll-ups a page is read from. No I/O.

Buckets begin at full minutes, hours or days, UTC; only a page's first begins at `start_time` itself, as OpenAI's does. A bucket that is
cut is counted to the minute: from minutes and hours up to the next full one.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from openhearth.errors import InvalidRequest
from openhearth.usage.sums import WIDTHS
from openhearth.wire.organization.usage_queries import TimeQuery

SECONDS: Final = {"1m": 60, "1h": 3600, "1d": 86400}
DEFAULT: Final = {"1m": 60, "1h": 24, "1d": 7}
MOST: Final = {"1m": 1440, "1h": 168, "1d": 31}
_CURSOR = struct.Struct(">QQ")


class Piece(NamedTuple):
    """Rows of one width that start in [start, end)."""

    width: int
    start: int
    end: int


@dataclass(frozen=True)
class Period:
    """One page: its buckets as (start, end), what to read for them, and the cursor of the next page."""

    width: int
    buckets: list[tuple[int, int]]
    pieces: list[Piece]
    next_page: str | None


def period(query: TimeQuery, now: float, *, default: int | None = None, most: int | None = None) -> Period:
    """`default` and `most`: buckets on a page, where they aren't the width's own. Raises InvalidRequest."""
    width = SECONDS[query.bucket_width]
    limit = _limit(query, default or DEFAULT[query.bucket_width], most or MOST[query.bucket_width])
    start, end = query.start_time, int(now) + 1 if query.end_time is None else query.end_time
    if start >= end:
        raise InvalidRequest("'start_time' must be before 'end_time', which is now if it isn't given.", param="start_time")
    if query.page is not None:
        start, end = _resumed(query, start)
    cuts = [start, *range(start - start % width + width, end, width)[:limit]]
    buckets = [(a, a - a % width + width) for a in cuts[:limit]]
    more = len(cuts) > limit
    if not more and query.end_time is not None:
        buckets[-1] = (buckets[-1][0], end)
    return Period(width, buckets, list(_pieces(start, buckets[-1][1], width)), _cursor(cuts[limit], end) if more else None)


def _limit(query: TimeQuery, default: int, most: int) -> int:
    if query.limit is not None and query.limit > most:
        raise InvalidRequest(f"'limit' may be at most {most} for bucket_width={query.bucket_width}.", param="limit")
    return query.limit or default


def _pieces(start: int, end: int, width: int) -> Iterator[Piece]:
    """The range in the widest rows that fit: at its edges in narrower ones."""
    narrower = WIDTHS.index(width) - 1
    first, last = -(-start // width) * width, end // width * width
    if narrower < 0:
        yield Piece(width, start - start % width, end)
    elif first > last:
        yield from _pieces(start, end, WIDTHS[narrower])
    else:
        if start < first:
            yield from _pieces(start, first, WIDTHS[narrower])
        if first < last:
            yield Piece(width, first, last)
        if last < end:
            yield from _pieces(last, end, WIDTHS[narrower])


def _cursor(start: int, end: int) -> str:
    return "page_" + base64.urlsafe_b64encode(_CURSOR.pack(start, end)).decode()


def _resumed(query: TimeQuery, first: int) -> tuple[int, int]:
    """The end stands in the cursor, too, so that a walk to "now" ends where it was begun."""
    wrong = InvalidRequest("'page' is not a cursor of this query; take it from 'next_page' of the reply before.", param="page")
    try:
        start, end = _CURSOR.unpack(base64.urlsafe_b64decode((query.page or "").removeprefix("page_").encode("ascii")))
    except (ValueError, struct.error):
        raise wrong from None
    if not first < start < end <= (query.end_time or 2**48) or start % SECONDS[query.bucket_width]:
        raise wrong
    return start, end
