"""Tokens with their log-probabilities: read from the engine, named as OpenAI names them, put into the legacy shape.

Which tokens are scored, and when, is decided elsewhere.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openhearth.inference.completions.vocabulary import Vocabulary
from openhearth.wire.completions import EngineToken, EngineTop, Logprobs


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token, its natural log-probability (None: the first of a prompt), and the likeliest tokens at its place."""

    id: int
    bytes: bytes
    name: str
    logprob: float | None
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class PlacedToken:
    """A token and where its text begins, in characters from the prompt's first."""

    token: ScoredToken
    offset: int


async def read(entry: EngineToken, vocabulary: Vocabulary) -> ScoredToken:
    """The engine's words -> ours."""
    top = [(await _name(other, vocabulary), other.logprob) for other in entry.top_logprobs]
    top.sort(key=lambda pair: -pair[1])
    return ScoredToken(entry.id, _bytes(entry), await _name(entry, vocabulary), entry.logprob, tuple(top))


def label(data: bytes) -> str:
    r"""A token's name from its bytes: its text, or `bytes:\xf0\x9f` for a part of a character."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def _bytes(entry: EngineToken | EngineTop) -> bytes:
    return entry.token.encode() if entry.bytes is None else bytes(entry.bytes)


async def _name(entry: EngineToken | EngineTop, vocabulary: Vocabulary) -> str:
    return label(_bytes(entry)) or await vocabulary.name(entry.id)


class TextCursor:
    """Puts tokens one after the other: the text so far, and where each token began."""

    def __init__(self, start: int = 0) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.position = start

    def place(self, token: ScoredToken) -> tuple[str, PlacedToken]:
        """The text that the token completes ("" within a character), and its place."""
        placed = PlacedToken(token, self.position)
        text = self._decoder.decode(token.bytes)
        self.position += len(text)
        return text, placed


def place_prompt(tokens: Iterable[ScoredToken], text: str) -> list[PlacedToken]:
    """An echoed prompt's tokens. A mark that the tokenizer put there itself has no length; one that the client wrote has."""
    cursor = TextCursor()
    placed = []
    for token in tokens:
        written = not token.bytes and token.name and text.startswith(token.name, cursor.position)
        shown = ScoredToken(token.id, token.name.encode(), token.name, token.logprob, token.top) if written else token
        placed.append(cursor.place(shown)[1])
    return placed


def legacy(tokens: Sequence[PlacedToken], top: int) -> Logprobs:
    """OpenAI's parallel lists. At each place the `top` likeliest, and the chosen one if it is not among them."""
    return Logprobs(
        [placed.token.name for placed in tokens],
        [placed.token.logprob for placed in tokens],
        [_alternatives(placed.token, top) for placed in tokens],
        [placed.offset for placed in tokens],
    )


def _alternatives(token: ScoredToken, top: int) -> dict[str, float] | None:
    if token.logprob is None:
        return None
    found: dict[str, float] = {}
    for name, logprob in token.top[:top]:
        found.setdefault(name, logprob)
    found.setdefault(token.name, token.logprob)
    return found
