"""A circuit breaker: a server that failed several times in a row is left alone for a while, so that nobody waits for it in vain.

closed -> (five failures in a row) -> open -> (the time is over) -> one probe -> closed, or open again for longer.
It counts and decides; who asks sends the probe.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from openhearth.errors import EngineUnavailable

log = logging.getLogger(__name__)

THRESHOLD = 5
FIRST_S = 2.0
LONGEST_S = 60.0
_MOST_DOUBLINGS = 16


class Circuit:
    """One server's. Everything that comes back, a refusal too, shows that it lives."""

    def __init__(self, shown: str, *, first_s: float = FIRST_S) -> None:
        self._shown = shown
        self._first_s = first_s
        self._failures = 0
        self._openings = 0
        self._until = 0.0
        self._reason = ""
        self._probing = False

    def admit(self) -> bool:
        """Whether the server must be probed before it is asked. Raises EngineUnavailable with Retry-After while it is left alone."""
        if not self._openings:
            return False
        left_s = self._until - time.monotonic()
        if left_s > 0 or self._probing:
            raise EngineUnavailable(
                f"The upstream server {self._shown} is left alone for now: {self._reason}. Try again later.",
                headers={"retry-after": str(max(1, round(left_s)))},
            )
        return True

    @contextmanager
    def probe(self) -> Iterator[None]:
        """Around the one probe; others are sent away meanwhile. Without an outcome in it the next one probes."""
        self._probing = True
        try:
            yield
        finally:
            self._probing = False

    def answered(self) -> None:
        """Something came back."""
        if self._openings:
            log.info("upstream %s answers again", self._shown)
        self._failures = self._openings = 0

    def failed(self, reason: str) -> None:
        """Nothing came back, or that it can't work now."""
        self._failures += 1
        self._reason = reason
        late = self._openings and not self._probing
        if not late and (self._probing or self._failures >= THRESHOLD):
            self._open()

    def _open(self) -> None:
        longest_s = min(LONGEST_S, self._first_s * 2.0 ** min(self._openings, _MOST_DOUBLINGS))
        # Jitter: several of us must not come back to it in the same moment.
        length_s = longest_s * random.uniform(0.5, 1.0)  # noqa: S311
        self._openings += 1
        self._until = time.monotonic() + length_s
        log.warning("upstream %s is left alone for %.1f s: %s", self._shown, length_s, self._reason)
