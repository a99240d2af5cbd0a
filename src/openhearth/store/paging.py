"""Pages of rows in order of time: a page begins after a row's place, so rows that come meanwhile neither repeat nor hide others."""

from __future__ import annotations

from typing import TypeVarTuple

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

Columns = TypeVarTuple("Columns")


def page_after(
    wanted: Select[*Columns],
    time: InstrumentedAttribute[int],
    identity: InstrumentedAttribute[str],
    place: tuple[int, str] | None,
    limit: int,
    *,
    descending: bool = False,
) -> Select[*Columns]:
    """At most `limit + 1` rows after `place` (its time and identity), so that one sees whether there are more."""
    if place is not None:
        here, there = tuple_(time, identity), tuple_(*place)
        wanted = wanted.where(here < there if descending else here > there)
    order = (time.desc(), identity.desc()) if descending else (time, identity)
    return wanted.order_by(*order).limit(limit + 1)
