"""The fake engine's language: tokens, and how likely each is. Everything follows from hashes, so it is the same in every process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

VOCABULARY = 2**20
WORDS = ("the river runs under an old bridge and light falls on slow water where small boats wait for morning wind to turn").split()  # noqa: SIM905 - reads as a sentence
_PIECE = re.compile(r" ?[^\W_]+|[^\S ]| (?= )|\s?[^\w\s]|_| ")
_SPECIAL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
_SPECIALS = re.compile("(" + "|".join(map(re.escape, _SPECIAL)) + ")")


class Tokens:
    """Text to ids and back. An id is a hash of its piece; pieces are remembered as they are met."""

    def __init__(self) -> None:
        self._pieces: dict[int, str] = dict(enumerate(_SPECIAL))
        for word in WORDS:
            self.id_of(" " + word)

    def id_of(self, piece: str) -> int:
        if piece in _SPECIAL:
            return _SPECIAL.index(piece)
        number = len(_SPECIAL) + number_of(piece) % (VOCABULARY - len(_SPECIAL))
        self._pieces[number] = piece
        return number

    def split(self, text: str) -> list[str]:
        """Pieces; joined they are the text."""
        return _PIECE.findall(text) if _covers(text) else list(text)

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """`special`: whether the names of special tokens mean those tokens."""
        parts = _SPECIALS.split(text) if special else [text]
        return [self.id_of(piece) for part in parts for piece in ([part] if special and part in _SPECIAL else self.split(part))]

    def decode(self, ids: list[int]) -> str:
        return "".join(self._pieces.get(number, "?") for number in ids)


def _covers(text: str) -> bool:
    return "".join(_PIECE.findall(text)) == text


def number_of(*parts: object) -> int:
    """A number that depends on the parts only."""
    return int.from_bytes(blake2b("\0".join(map(str, parts)).encode("utf-8", "replace"), digest_size=6).digest(), "big")


def logprob(context: str, piece: str) -> float:
    """The log-probability of a piece after this text (its last 200 characters count), from -0.05 to -8."""
    return -0.05 - number_of(context[-200:], piece) % 7950 / 1000


@dataclass(frozen=True)
class Token:
    """One answered token. `alternatives`: likeliest first, the chosen one among them."""

    id: int
    text: str
    logprob: float
    alternatives: tuple[tuple[int, str, float], ...] = ()

    def described(self, top: int) -> dict[str, Any]:
        """As llama.cpp tells it."""
        return {**_entry(self.id, self.text, self.logprob), "top_logprobs": [_entry(*one) for one in self.alternatives[:top]]}


def _entry(number: int, text: str, value: float) -> dict[str, Any]:
    return {"id": number, "token": text, "bytes": list(text.encode()), "logprob": value}


def alternatives(tokens: Tokens, context: str, chosen: str) -> tuple[tuple[int, str, float], ...]:
    """The chosen piece and the language's words, likeliest first."""
    pieces = {chosen, *(" " + word for word in WORDS)}
    return tuple(sorted(((tokens.id_of(p), p, logprob(context, p)) for p in pieces), key=lambda entry: -entry[2]))


def babble(prompt: str, seed: int, count: int) -> str:
    """`count` words that follow from prompt and seed."""
    return "".join(" " + WORDS[number_of(prompt, seed, n) % len(WORDS)] for n in range(count)).lstrip()


def embedding(text: str, dimensions: int) -> list[float]:
    """A unit vector that follows from the text."""
    values = [number_of(text, n) % 2001 / 1000 - 1 for n in range(dimensions)]
    length = sum(value * value for value in values) ** 0.5 or 1.0
    return [value / length for value in values]
