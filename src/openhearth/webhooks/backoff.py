"""When a delivery that failed is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass

GROWTH = 4.0
LONGEST_S = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, with a quarter of jitter each way, until `give_up_s` after the event."""

    first_s: float = 5.0
    give_up_s: float = 72 * 3600.0

    def next_at(self, created_at: int, attempts: int, now: float) -> int | None:
        """Unix seconds of the next try after `attempts` (1 or more); None: it is given up."""
        exponent = min(attempts - 1, 32)
        delay = min(self.first_s * GROWTH**exponent, LONGEST_S) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load only
        at = now + delay
        return int(at) if at <= created_at + self.give_up_s else None
