"""Usage summed up in memory, until it is written: what is alike within a minute is one sum. Knows no database.

When very much is waiting (the database has been gone for long), minutes are added up into hours, and hours into days: the times get
coarser, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from openhearth.accounts.work import Usage
from openhearth.usage.calendar import month_of
from openhearth.usage.cost import Cost

WIDTHS = (60, 3600, 86400)
COUNTS = (
    "requests",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "units",
    "input_cost",
    "cached_cost",
    "output_cost",
)
"""The columns that are added up, in the order of a sum's numbers."""
MOST = 20_000
"""Sums that are kept before the times get coarser: about 15 MB."""


class Key(NamedTuple):
    """What requests have in common that are added up; the columns of `UsageRow`'s key."""

    start: int
    operation: str
    project_id: str
    user_id: str
    api_key_id: str
    model: str
    batch: bool
    service_tier: str
    detail: str
    source: str


Counts = list[int]


class Sums:
    """Sums of usage by key."""

    def __init__(self, most: int = MOST) -> None:
        self._sums: dict[Key, Counts] = {}
        self._most = most
        self._width = 0

    def __len__(self) -> int:
        return len(self._sums)

    def add(self, key: Key, usage: Usage, cost: Cost) -> None:
        """One request. `key.start` may be any second."""
        self._put(_at(key, self._width or WIDTHS[0]), _counts(usage, cost))
        if len(self._sums) > self._most:
            self._coarsen()

    def items(self) -> list[tuple[Key, Counts]]:
        return list(self._sums.items())

    def rows(self, width: int) -> list[dict[str, str | int | bool]]:
        """The sums as rows of that width, in the order of their keys: so that processes that write at once don't block each other."""
        rolled: dict[Key, Counts] = {}
        for key, counts in self._sums.items():
            _into(rolled, _at(key, width), counts)
        return [{"width": width, **key._asdict(), **dict(zip(COUNTS, counts, strict=True))} for key, counts in sorted(rolled.items())]

    def spending(self) -> dict[tuple[int, str], int]:
        """(month, project) -> billionths of a dollar, of all that cost anything."""
        spent: dict[tuple[int, str], int] = {}
        for key, counts in sorted(self._sums.items()):
            if cost := sum(counts[-3:]):
                where = (month_of(key.start), key.project_id)
                spent[where] = spent.get(where, 0) + cost
        return spent

    def _put(self, key: Key, counts: Counts) -> None:
        _into(self._sums, key, counts)

    def _coarsen(self) -> None:
        for width in WIDTHS[1:]:
            if width > self._width:
                kept, self._sums, self._width = self._sums, {}, width
                for key, counts in kept.items():
                    self._put(_at(key, width), counts)
                if len(self._sums) <= self._most // 2:
                    return


def _at(key: Key, width: int) -> Key:
    return key if key.start % width == 0 else key._replace(start=key.start - key.start % width)


def _into(sums: dict[Key, Counts], key: Key, counts: Iterable[int]) -> None:
    known = sums.get(key)
    sums[key] = list(counts) if known is None else [a + b for a, b in zip(known, counts, strict=True)]


def _counts(usage: Usage, cost: Cost) -> Counts:
    return [
        1,
        usage.prompt_tokens,
        usage.cached_tokens,
        usage.completion_tokens,
        usage.input_audio_tokens,
        usage.output_audio_tokens,
        usage.units,
        *cost,
    ]
