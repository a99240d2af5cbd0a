"""Passwords: argon2id, in threads, and no weak ones."""

from __future__ import annotations

import asyncio
import time

import pytest
from argon2 import PasswordHasher

from openhearth.accounts.people.passwords import AT_ONCE, WAITING, Passwords, check_strength
from openhearth.errors import InvalidRequest, RateLimited

GOOD = "a mighty fine river"


async def test_a_password_is_known_again_and_not_stored() -> None:
    passwords = Passwords()
    hashed = await passwords.hash(GOOD)
    assert hashed.startswith("$argon2id$")
    assert GOOD not in hashed
    assert await passwords.verify(hashed, GOOD)
    assert not await passwords.verify(hashed, GOOD + "x")
    assert not await passwords.verify(None, GOOD)
    assert not await passwords.verify("nonsense", GOOD)
    assert not passwords.outdated(hashed)
    assert passwords.outdated(PasswordHasher(time_cost=1, memory_cost=64).hash(GOOD))


async def test_letters_that_can_be_typed_in_two_ways_are_one() -> None:
    passwords = Passwords()
    assert await passwords.verify(await passwords.hash("Mühle am Bach 7"), "Mu\u0308hle am Bach 7")


async def test_the_loop_goes_on_while_passwords_are_checked() -> None:
    passwords = Passwords()
    hashed = await passwords.hash(GOOD)
    checks = asyncio.gather(*(passwords.verify(hashed, GOOD) for _ in range(3 * AT_ONCE)))
    longest = 0.0
    while not checks.done():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)
    assert all(await checks)
    assert longest < 0.5


async def test_only_so_many_wait() -> None:
    passwords = Passwords()
    hashed = PasswordHasher(time_cost=1, memory_cost=64).hash(GOOD)
    results = await asyncio.gather(*(passwords.verify(hashed, "x") for _ in range(WAITING + 20)), return_exceptions=True)
    assert sum(isinstance(result, RateLimited) for result in results) >= 20
    assert not await passwords.verify(hashed, "x")


@pytest.mark.parametrize("good", [GOOD, "Tr0ub4dor&3x", "wald-baum-hütte", "xkQ9!vbn2#Lp", "安全なパスワードです長い", "ada likes the sea"])
def test_good_passwords(good: str) -> None:
    check_strength(good, "ada@example.com")


@pytest.mark.parametrize(
    "weak",
    [
        "short", "x" * 257, "password123", "P@ssword2024", "Passwort!!11", "1234567890", "0987654321", "qwertyuiop", "abcdefghijkl",
        "aaaaaaaaaaaa", "abababababab", "welcome12345", "lovelace@example.com", "lovelace1815", "openhearth1", "letmeinletmein",
    ],
)  # fmt: skip
def test_weak_passwords_are_refused(weak: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_strength(weak, "lovelace@example.com")
    assert caught.value.code == "weak_password"
    assert weak not in caught.value.message
