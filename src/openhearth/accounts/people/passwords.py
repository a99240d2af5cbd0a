"""Passwords: argon2id with the library's own parameters, checked in threads, a few at a time.

Whoever asks for an address that isn't there waits as long as for a wrong password: a hash of nothing is checked then. Each check takes
64 MiB for some 50 ms, so no more than `AT_ONCE` run, and no more than `WAITING` wait.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from openhearth.errors import InvalidRequest, RateLimited

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

SHORTEST, LONGEST = 10, 256
AT_ONCE = 2
WAITING = 64

_WORDS = (
    "password passwort passw0rd p4ssword p@ssword motdepasse contrasena welcome willkommen letmein iloveyou sunshine princess "
    "football baseball superman batman dragon monkey shadow master trustno1 starwars whatever freedom computer internet "
    "changeme secret default administrator admin root user guest test testing login openhearth hearth owner qwerty qwertz "
    "azerty abcdef correcthorsebatterystaple "
)
_ROWS = (
    "1234567890" * 3,
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
)
_SYMBOLS = str.maketrans("@$!", "asi")
_DIGITS = str.maketrans("01345", "oieas")


class Passwords:
    """Hashes and checks."""

    def __init__(self) -> None:
        # Threads of its own: a client that leaves frees its place in a semaphore at once, but not the memory of its check.
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords")
        self._waiting = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Raises RateLimited if too many wait."""
        return await self._in_thread(self._hasher.hash, _normal(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """False also for no hash, after the same time. Raises RateLimited if too many wait."""
        if self._nobodys is None:
            self._nobodys = await self._in_thread(self._hasher.hash, secrets.token_urlsafe(16))
        same = await self._in_thread(self._matches, hashed or self._nobodys, _normal(password)[:LONGEST])
        return same and hashed is not None

    def outdated(self, hashed: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def _matches(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, act: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= WAITING:
            raise RateLimited("Too many people log in at this moment. Try again in a few seconds.", retry_after_s=5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, act, *arguments)
        finally:
            self._waiting -= 1

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher()


def check_strength(password: str, email: str, param: str = "password") -> None:
    """Raises InvalidRequest for what is too short, too long, or guessed at once."""
    normal = _normal(password)
    if not SHORTEST <= len(normal) <= LONGEST:
        raise InvalidRequest(f"A password has {SHORTEST} to {LONGEST} characters.", param=param, code="weak_password")
    if _is_common(normal.casefold(), email):
        raise InvalidRequest(
            "This password is among the first that are guessed (a common word, a row of keys, a repetition, the address itself). "
            "Choose another, e.g. several words.",
            param=param,
            code="weak_password",
        )


def _normal(password: str) -> str:
    """One form for letters that can be typed in two."""
    return unicodedata.normalize("NFC", password)


def _is_common(password: str, email: str) -> bool:
    local, _, domain = email.partition("@")
    words = [*_WORDS.split(), *(_letters(name) for name in (email, local, domain.partition(".")[0]) if len(name) >= 4)]
    read = {_letters(password.translate(alphabet)) for alphabet in ({}, _SYMBOLS, _SYMBOLS | _DIGITS)}
    rows = any(text in row or text in row[::-1] for text in read for row in _ROWS if text)
    return len(set(password)) < 5 or rows or any(_is_meagre(text, words) for text in read)


def _is_meagre(text: str, words: Sequence[str]) -> bool:
    """Whether it is a word that everybody tries, and little besides."""
    left = text
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, "")
    return left != text and len(left.strip("0123456789")) < 4


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())
