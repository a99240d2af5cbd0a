"""Tool calls in a model's text: found while it is written (`CallReader`), or known to be one from the start (`ForcedCall`).

Models whose templates know no tools write `<tool_call>{...}</tool_call>` as they were told, or a bare or fenced JSON object all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from openhearth.inference.chat.messages import CALL, CALL_END

_OPENINGS = (CALL, "```", "{", "[")
_NAME = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*')
_BRACKETS = re.compile(r'["\\{}\[\]]')


@dataclass(frozen=True, slots=True)
class Call:
    """A whole call. `arguments` is JSON."""

    name: str
    arguments: str

    @property
    def values(self) -> Any:
        return json.loads(self.arguments)


class CallReader:
    """Separates prose from calls. Text that may be a call is held back; if it is none, it comes out as the prose it is."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._held = ""
        self._prose = False

    def feed(self, piece: str) -> str:
        """The prose that is surely prose by now."""
        self._held += piece
        if not self._prose:
            start = self._held.lstrip()
            if any(start.startswith(opening) or opening.startswith(start) for opening in _OPENINGS):
                return ""
            self._prose = True
        cut = self._held.find(CALL)
        if cut < 0:
            cut = len(self._held) - _overlap(self._held, CALL)
        out, self._held = self._held[:cut], self._held[cut:]
        return out

    def end(self) -> tuple[str, list[Call]]:
        """The last prose, and the calls."""
        held, self._held = self._held, ""
        calls = list(found_calls(held, self._names))
        if not calls:
            return held, []
        before = held.partition(CALL)[0]
        return (before.rstrip() if CALL in held and not before.lstrip().startswith(("{", "[", "```")) else ""), calls


def found_calls(text: str, names: Collection[str]) -> Iterator[Call]:
    """The calls of a text that begins with them."""
    if CALL in text:
        parts = [part.partition(CALL_END)[0] for part in text.split(CALL)[1:]]
    else:
        parts = [re.sub(r"^\s*```(?:json)?|```\s*$", "", text)]
    for part in parts:
        for value in _values(part):
            for one in value if isinstance(value, list) else [value]:
                if call := _call(one, names):
                    yield call


def _values(text: str) -> Iterator[Any]:
    """The JSON values at the beginning of a text."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        at += len(text[at:]) - len(text[at:].lstrip(" \n\r\t,;"))
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield value


def _call(value: Any, names: Collection[str]) -> Call | None:
    if not isinstance(value, dict) or value.get("name") not in names:
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return None
    return Call(value["name"], json.dumps(arguments, ensure_ascii=False)) if isinstance(arguments, dict) else None


def _overlap(text: str, mark: str) -> int:
    """Length of the longest end of `text` that begins `mark`."""
    return next((n for n in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-n:])), 0)


class ForcedCall:
    """A call that the engine was held to: its arguments come out as they are written."""

    def __init__(self, only: str | None) -> None:
        """`only`: the one tool there is, whose bare arguments are written; None: a name is written before them."""
        self.name = only
        self._held = ""
        self._depth = _Depth()
        self.arguments = ""

    def feed(self, piece: str) -> str:
        """More of the arguments. `name` is known when the first come."""
        if self.name is None:
            self._held += piece
            found = _NAME.match(self._held)
            if not found:
                return ""
            self.name = json.loads(found.group(1))
            piece = self._held[found.end() :]
        out = self._depth.within(piece)
        self.arguments += out
        return out

    @property
    def complete(self) -> bool:
        """Whether the arguments have ended."""
        return self._depth.ended


class _Depth:
    """Follows a JSON object through its pieces, to its end."""

    def __init__(self) -> None:
        self._level = 0
        self._in_string = False
        self._escaped = False
        self.ended = False

    def within(self, piece: str) -> str:
        """The part of the piece that belongs to the object."""
        if self.ended:
            return ""
        if self._level == 0:
            piece = piece.lstrip()
        at = 0
        while at < len(piece):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = _BRACKETS.search(piece, at)
            if not found:
                break
            at = found.end()
            self._meet(found.group())
            if self.ended:
                return piece[:at]
        return piece

    def _meet(self, character: str) -> None:
        if self._in_string:
            if character == "\\":
                self._escaped = True
            elif character == '"':
                self._in_string = False
        elif character == '"':
            self._in_string = True
        elif character in "{[":
            self._level += 1
        elif character in "}]":
            self._level -= 1
            self.ended = self._level == 0
