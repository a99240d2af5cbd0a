"""What this month has cost so far, as this process knows it: what the database holds, what is not written yet, what is reserved. No I/O."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping

WHOLE = "*"
"""Stands for the organization where a project's id could stand."""
Spending = Mapping[tuple[int, str], int]
"""(month, project) -> billionths of a dollar."""


class Ledger:
    """Costs by month and project. Whoever moves costs from here into the database, or reads them from there, holds `moving` meanwhile.

    So nothing is counted twice or not at all, however writing and reading fall together.
    """

    def __init__(self) -> None:
        self.moving = asyncio.Lock()
        self._written: dict[tuple[int, str], int] = {}
        self._unwritten = defaultdict[tuple[int, str], int](int)
        self._reserved = defaultdict[str, int](int)

    def spent(self, month: int, project_id: str) -> int:
        """With what is reserved for work under way."""
        place = (month, project_id)
        return self._written.get(place, 0) + self._unwritten.get(place, 0) + self._reserved.get(project_id, 0)

    def reserve(self, project_id: str, cost: int) -> None:
        """Take back with a negative cost."""
        for place in (WHOLE, project_id):
            self._reserved[place] += cost
            if not self._reserved[place]:
                del self._reserved[place]

    def recorded(self, month: int, project_id: str, cost: int) -> None:
        """Spent, and not written yet."""
        for place in (WHOLE, project_id):
            self._unwritten[month, place] += cost

    def wrote(self, spending: Spending) -> None:
        """So much of it is in the database now."""
        for (month, project_id), cost in spending.items():
            for place in ((month, WHOLE), (month, project_id)):
                self._written[place] = self._written.get(place, 0) + cost
                self._unwritten[place] -= cost
                if not self._unwritten[place]:
                    del self._unwritten[place]

    def read(self, spending: Spending) -> None:
        """So much the database holds, of all processes."""
        written = defaultdict[tuple[int, str], int](int)
        for (month, project_id), cost in spending.items():
            written[month, WHOLE] += cost
            written[month, project_id] += cost
        self._written = dict(written)
