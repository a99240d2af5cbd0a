"""How often one may try."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from openhearth.accounts.people.throttle import KEYS, Limits, Throttle
from openhearth.errors import RateLimited


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(act: Callable[[int], None]) -> bool:
    """Whether a hundred tries are too many."""
    try:
        for number in range(100):
            act(number)
    except RateLimited:
        return True
    return False


def test_tries_come_back_steadily() -> None:
    clock = Clock()
    throttle = Throttle(3, 30, clock)
    for _ in range(3):
        throttle.take("ada")
    with pytest.raises(RateLimited) as caught:
        throttle.take("ada")
    assert 1 <= int(caught.value.headers["retry-after"]) <= 11
    throttle.take("bob")
    clock.now += int(caught.value.headers["retry-after"])
    throttle.take("ada")
    with pytest.raises(RateLimited):
        throttle.take("ada")


def test_what_is_given_back_doesnt_count_but_saves_nothing_up() -> None:
    throttle = Throttle(2, 60, Clock())
    for _ in range(10):
        throttle.take("ada")
        throttle.give_back("ada")
    throttle.give_back("ada")
    throttle.take("ada")
    throttle.take("ada")
    with pytest.raises(RateLimited):
        throttle.take("ada")


def test_memory_is_bounded() -> None:
    throttle = Throttle(1, 3600, Clock())
    for number in range(KEYS + 100):
        throttle.take(str(number))
    assert len(throttle._buckets) == KEYS


def test_one_client_is_stopped_whatever_address_it_tries() -> None:
    limits = Limits()
    assert refused(lambda number: limits.login("192.0.2.1", f"user{number}@example.com"))
    limits.login("192.0.2.2", "user1@example.com")


def test_one_address_is_stopped_whatever_client_tries_it() -> None:
    limits = Limits()
    assert refused(lambda number: limits.login(f"192.0.2.{number}", "ada@example.com"))
    limits.login("192.0.2.200", "bob@example.com")


def test_an_ipv6_network_is_one_client() -> None:
    limits = Limits()
    assert refused(lambda number: limits.login(f"2001:db8::{number:x}", f"user{number}@example.com"))
    limits.login("2001:db8:0:1::1", "ada@example.com")
