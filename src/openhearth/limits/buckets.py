"""The arithmetic of token buckets that several processes share. No clock, no database: times are arguments.

A bucket holds at most its limit and fills up steadily. Each process takes a part in advance (a lease) and serves from it; the bucket's row
remembers who holds how much, and fills only up to what nobody holds. So what is left everywhere never exceeds the limit, and in no stretch
of time passes more than the limit and what filled up meanwhile, whatever the number of processes. What falls short: others' leases, until
they are given back; and what a process that died held, which counts as used. What was reserved and not used counts as used until an
exchange brings it back, within `VALID_S` or never: the bucket may have filled up in its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

NEVER = -math.inf
EPSILON = 1e-6
"""Tokens that are lost in rounding."""
PARTS = 16
"""A process takes a limit's sixteenth in advance."""
LEASE_S = 30.0
"""A lease that wasn't renewed for so long was a dead process's."""
VALID_S = 10.0
"""A process serves from a lease for so long after its last exchange; well under LEASE_S, and over what a locked SQLite lets wait."""


@dataclass(frozen=True, slots=True)
class Shared:
    """A bucket's row. Times: unix seconds of the database's clock."""

    available: float
    capacity: float
    updated_at: float
    revision: int
    leases: Mapping[str, list[float]]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a process brings to an exchange: its own reckoning, and what it wants."""

    capacity: float
    rate: float
    """Filling, per second."""
    held: float
    """Not used of its lease."""
    keeps: bool
    """Whether it goes on holding that."""
    returned: float
    """Reserved and then not used; below zero: used beyond what was reserved."""
    late: float
    """So much of `returned` waited too long."""
    rest: float
    """What the bucket has by its own reckoning: exact, if nobody else came since `revision`."""
    revision: int
    elapsed: float
    """Seconds by its own steady clock since its last exchange; inf: there was none."""
    need: float
    """What it must hold afterwards for the exchange to give anything."""
    want: float
    """What it would like to hold."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an exchange. `held` is all that the process holds now; `others`: what other processes do."""

    held: float
    rest: float
    others: float
    revision: int
    capacity: float


def full(capacity: float, now: float) -> Shared:
    """A bucket that nobody has used yet."""
    return Shared(capacity, capacity, now, 0, {})


def exchange(row: Shared, offer: Offer, process: str, now: float) -> tuple[Shared, Outcome]:
    """Fill the bucket up to `now`, take back what is offered, give what is wanted.

    `now` may jump, since it is a wall clock's. What is believed of it is at most what the process's steady clock says, and if nobody
    else came meanwhile it isn't looked at.
    """
    leases = _living(row.leases, now)
    mine = leases.pop(process, [0.0])[0]
    others = sum(amount for amount, _ in leases.values())
    if offer.revision == row.revision:
        held, returned, filled = offer.held, offer.returned, offer.rest
    else:
        # Others have had the room that it was missing from, or the row forgot the lease that it came from.
        returned = offer.returned - offer.late
        held = min(offer.held, mine)
        elapsed = min(max(0.0, now - row.updated_at), offer.elapsed)
        filled = min(row.available + offer.capacity - row.capacity + elapsed * offer.rate, offer.capacity - others - mine)
    total = min(filled + returned + held, offer.capacity - others)
    # What is owed comes out of the lease, too.
    kept = max(0.0, min(held, total)) if offer.keeps else 0.0
    if total >= offer.need - EPSILON:
        kept = max(kept, offer.need, min(offer.want, total))
    if kept > 0:
        leases[process] = [kept, now]
    outcome = Outcome(kept, total - kept, others, row.revision + 1, offer.capacity)
    return Shared(outcome.rest, offer.capacity, now, outcome.revision, leases), outcome


def _living(leases: Mapping[str, list[float]], now: float) -> dict[str, list[float]]:
    """Without dead processes'. After a step back of the clock a lease's age begins anew."""
    return {process: [amount, min(at, now)] for process, (amount, at) in leases.items() if now - at <= LEASE_S}


class Holding:
    """A process's part of one bucket, and its reckoning of the rest. Times: seconds of a steady clock."""

    __slots__ = (
        "_exchanged_at", "_offered", "_others", "_returned", "_returned_at", "_revision", "_seen_at", "_valid",
        "capacity", "held", "lease", "period", "rate", "rest",
    )  # fmt: skip

    def __init__(self, capacity: float, period: float) -> None:
        self.period = period
        self.held = self.capacity = self.rest = 0.0
        self._returned = self._returned_at = self._others = self._offered = self._seen_at = 0.0
        self._revision = -1
        self._exchanged_at = NEVER
        self.resize(capacity)

    def resize(self, capacity: float) -> None:
        """Another limit from now on; what was used of the old one stays used. The next `take` needs an exchange."""
        self.rest += capacity - self.capacity
        self.capacity = capacity
        self.rate = capacity / self.period
        self.lease = capacity // PARTS
        self._valid = False

    @property
    def level(self) -> float:
        """What can be had in all, as of the last `tick`; others' leases are not in it."""
        return self.held + self._returned + self.rest

    @property
    def dirty(self) -> bool:
        """Whether there is something to give back."""
        return bool(self.held or self._returned)

    def age(self, now: float) -> float:
        """Seconds since the last exchange; inf: what is known is void."""
        return now - self._exchanged_at if self._valid else math.inf

    def tick(self, now: float) -> None:
        """Fill up to now."""
        room = self.capacity - self._others - self.held - self._returned
        self.rest = min(self.rest + (now - self._seen_at) * self.rate, room)
        self._seen_at = now

    def has(self, amount: float, now: float) -> bool:
        """Whether it can be taken without an exchange."""
        return self.held >= amount - EPSILON and self._valid and now - self._exchanged_at <= VALID_S

    def take(self, amount: float) -> None:
        """`has` said that it can be."""
        self.held -= amount

    def give(self, amount: float) -> None:
        """Back as of the last `tick`, because it wasn't used; usable after the next exchange.

        Below zero: more was used, which is owed at once.
        """
        if amount >= 0:
            if not self._returned:
                self._returned_at = self._seen_at
            self._returned += amount
        else:
            self.held += amount

    def offer(self, now: float, *, need: float = 0.0, want: float = 0.0, keeps: bool = True) -> Offer:
        """For an exchange that begins now. `closed` or `failed` must follow before the next; `take` and `give` may go on meanwhile."""
        late = self._returned if now - self._returned_at > VALID_S else 0.0
        if self.held < 0:
            self._returned, self.held = self._returned + self.held, 0.0
        self.tick(now)
        held, returned = self.held, self._returned
        self._offered = self.held = held if keeps else 0.0
        self._returned = 0.0
        elapsed = now - self._exchanged_at
        return Offer(self.capacity, self.rate, held, keeps, returned, late, self.rest, self._revision, elapsed, need, want)

    def closed(self, outcome: Outcome, began: float, now: float) -> None:
        """The exchange is done. What was used while it ran counts at its end, which is never too favourable."""
        used = self._offered - self.held
        self.held, self.rest, self._others, self._revision = outcome.held, outcome.rest, outcome.others, outcome.revision
        self._seen_at = self._exchanged_at = began
        self._valid = True
        self.tick(now)
        self.held -= used
        if outcome.capacity != self.capacity:
            capacity, self.capacity = self.capacity, outcome.capacity
            self.resize(capacity)
            self.failed()

    def failed(self) -> None:
        """Nobody knows whether it took place: what was returned counts as used, and the next exchange trusts the row only."""
        self._revision = -1
