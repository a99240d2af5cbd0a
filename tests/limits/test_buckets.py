"""The arithmetic of shared buckets, with a clock that tests move: never more than the limit and what filled up, in any stretch of time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openhearth.limits.buckets import LEASE_S, PARTS, VALID_S, Holding, exchange, full

PERIOD = 60.0
WALL = 1_800_000_000.0


@dataclass
class World:
    """A bucket, processes, and two clocks: one steady, one that may be set."""

    capacity: int
    processes: int = 1
    latency: float = 0.0
    now: float = 1000.0
    wall: float = WALL
    events: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.holdings = [Holding(self.capacity, PERIOD) for _ in range(self.processes)]
        self.row = full(self.capacity, self.wall)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.wall += seconds

    def exchange(self, process: int, need: float = 0, *, keeps: bool = True, meanwhile: float = 0) -> None:
        """`meanwhile`: what requests take from the lease while the database works."""
        holding, began = self.holdings[process], self.now
        offer = holding.offer(began, need=need, want=max(need, holding.lease) if keeps else 0, keeps=keeps)
        returned = offer.returned if offer.revision == self.row.revision else offer.returned - offer.late
        self.events.append((self.now, -max(0.0, returned)))
        self.row, outcome = exchange(self.row, offer, str(process), self.wall)
        if meanwhile and holding.has(meanwhile, self.now):
            self._took(holding, meanwhile)
        self.pass_time(self.latency)
        holding.closed(outcome, began, self.now)

    def take(self, process: int, amount: float) -> bool:
        holding = self.holdings[process]
        if not holding.has(amount, self.now):
            self.exchange(process, amount)
        if not holding.has(amount, self.now):
            return False
        self._took(holding, amount)
        return True

    def give(self, process: int, amount: float) -> None:
        self.holdings[process].tick(self.now)
        self.holdings[process].give(amount)

    def check(self) -> None:
        """What was given back counts as used until an exchange brings it.

        The bucket has no room for it sooner: of a limit of two, one is taken at 0 s, and its request runs; at 60 s the bucket is full
        again. Then that one is given back, and another process takes two before it is exchanged. No process can know both.
        """
        rate = self.capacity / PERIOD
        for start in range(len(self.events)):
            used = 0.0
            for at, amount in self.events[start:]:
                used += amount
                assert used <= self.capacity + rate * (at - self.events[start][0]) + 0.001

    def _took(self, holding: Holding, amount: float) -> None:
        holding.tick(self.now)
        holding.take(amount)
        self.events.append((self.now, amount))


PROCESS = st.integers(0, 3)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), PROCESS, st.floats(0, 20)),
        st.tuples(st.just("burst"), PROCESS, st.floats(0.5, 2)),
        st.tuples(st.just("settle"), PROCESS, st.floats(0, 1)),
        st.tuples(st.just("wait"), PROCESS, st.floats(0, 70)),
        st.tuples(st.just("idle"), PROCESS, st.just(0.0)),
        st.tuples(st.just("top up"), PROCESS, st.floats(0, 3)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(capacity=st.integers(1, 200), processes=st.integers(1, 4), acts=ACTS)
def test_never_more_than_the_limit_and_what_filled_up(capacity: int, processes: int, acts: list[tuple[str, int, float]]) -> None:
    world = World(capacity, processes, latency=0.01)
    reserved: list[tuple[int, float]] = []
    for act, process, amount in acts:
        process %= processes
        if act == "wait":
            world.pass_time(amount)
        elif act == "idle":
            world.exchange(process, keeps=False)
        elif act == "top up":
            world.exchange(process, meanwhile=amount)
        elif act == "take" and world.take(process, amount):
            reserved.append((process, amount))
        elif act == "burst":
            while world.take(process, amount) and len(world.events) < 500:
                pass
        elif act == "settle" and reserved:
            process, taken = reserved.pop()
            world.give(process, taken * amount)
    world.check()


@pytest.mark.parametrize(("rest", "others", "own"), [(LEASE_S + 0.1, 2, 0), (VALID_S + 0.1, 1, 0), (VALID_S - 0.1, 1, 1)])
def test_what_was_given_back_and_rested_is_not_there_twice(rest: float, others: int, own: int) -> None:
    """The row forgets a lease after LEASE_S, and fills up in its place; nobody else may hold it any more then."""
    world = World(2, 2)
    assert world.take(1, 1)
    world.give(1, 1)
    world.pass_time(rest)
    assert sum(world.take(0, 1) for _ in range(3)) == others
    assert sum(world.take(1, 1) for _ in range(3)) == own
    world.check()


def test_alone_what_was_given_back_comes_back_however_late() -> None:
    world = World(100)
    assert world.take(0, 100)
    world.give(0, 40)
    world.pass_time(VALID_S + 1)
    assert sum(world.take(0, 1) for _ in range(200)) == int(40 + (VALID_S + 1) * 100 / PERIOD)


@settings(max_examples=300, deadline=None)
@given(
    capacity=st.integers(1, 200),
    acts=st.lists(st.tuples(st.floats(0, 30), st.floats(0.1, 30), st.sampled_from([0, 0, 0, -7200, 7200]), st.booleans()), max_size=60),
)
def test_one_process_is_exact_whatever_the_wall_clock_does(capacity: int, acts: list[tuple[float, float, int, bool]]) -> None:
    world, level, at = World(capacity, latency=0.01), float(capacity), 1000.0
    for wait, amount, step, idle in acts:
        world.pass_time(wait)
        world.wall += step
        if idle:
            world.exchange(0, keeps=False)
        passed = world.take(0, amount)
        level, at = min(capacity, level + (world.now - at) * capacity / PERIOD), world.now
        assert passed == (level >= amount) or abs(level - amount) < 0.01 * (capacity / PERIOD) * len(acts) + 0.001
        level -= amount if passed else 0
    world.check()


@pytest.mark.parametrize("processes", [2, 8])
def test_what_falls_short_is_at_most_what_others_hold(processes: int) -> None:
    world = World(160, processes)
    for process in range(1, processes):
        assert world.take(process, 1)
    passed = 0
    while world.take(0, 1):
        passed += 1
    assert passed == 160 - (processes - 1) * 160 // PARTS
    for process in range(1, processes):
        world.exchange(process, keeps=False)
    while world.take(0, 1):
        passed += 1
    assert passed + processes - 1 == 160


@pytest.mark.parametrize("step", [-86_400.0, -5.0, 5.0, 86_400.0])
def test_a_step_of_the_databases_clock_lets_nothing_extra_through(step: float) -> None:
    """Of two processes, so that each must believe the row. The second is a newcomer: it alone can be fooled, by one full bucket."""
    world = World(100, 2)
    assert world.take(0, 50)
    assert world.take(1, 1)
    world.wall += step
    passed = sum(world.take(0, 1) for _ in range(200))
    assert passed <= 50
    world.wall -= step
    world.take(1, 50)  # may find that nothing filled up since the last exchange
    world.pass_time(60)
    assert sum(world.take(1, 1) for _ in range(150)) >= 100 - 2 * (100 // PARTS)  # but no step stops it from filling
    world.check()


def test_a_process_that_died_costs_its_lease_once() -> None:
    world = World(160, 2)
    assert world.take(1, 1)  # holds nine more, and is killed
    assert sum(world.take(0, 1) for _ in range(200)) == 150  # the rest
    world.pass_time(LEASE_S + 1)
    world.exchange(0)  # sees that it is dead
    world.pass_time(PERIOD)
    assert sum(world.take(0, 1) for _ in range(200)) == 160


def test_more_used_than_expected_is_owed() -> None:
    world = World(60)
    assert world.take(0, 10)
    world.give(0, -80)
    assert not world.take(0, 1)
    world.pass_time(30.5)
    assert not world.take(0, 1)
    world.pass_time(1)
    assert world.take(0, 1)


def test_another_limit_keeps_what_was_used() -> None:
    world = World(100)
    assert world.take(0, 80)
    world.holdings[0].resize(50)
    assert not world.take(0, 1)
    world.holdings[0].resize(200)
    world.capacity = 200
    assert sum(world.take(0, 1) for _ in range(300)) == 120


def test_a_failed_exchange_never_gives_twice() -> None:
    world = World(100)
    assert world.take(0, 50)
    world.give(0, 40)
    holding = world.holdings[0]
    offer = holding.offer(world.now)
    world.row, _lost = exchange(world.row, offer, "0", world.wall)  # it took place, and the answer was lost
    holding.failed()
    assert sum(world.take(0, 1) for _ in range(200)) == 90


def test_a_lower_limit_takes_leases_back() -> None:
    world = World(200, 2)
    assert world.take(0, 1)
    assert world.take(1, 1)
    for holding in world.holdings:
        holding.resize(2)
    assert not world.take(0, 1)
    assert not world.take(1, 1)
    world.pass_time(PERIOD / 2 + 0.1)
    assert sum(world.take(0, 1) for _ in range(5)) == 1
