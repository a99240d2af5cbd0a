"""What msgspec says of a value that it can't take, in words. Pure; of what was sent it repeats short names only."""

from __future__ import annotations

import re
from collections.abc import Callable

_TYPES = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "a string",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_UNITS = {"str": "characters", "array": "elements", "object": "entries"}
LONGEST_ECHO = 40


def in_words(reason: str) -> str:
    """`Expected `float` <= 2.0` -> `must be at most 2`: what follows the field's name in a sentence without its end."""
    for pattern, said in _REASONS:
        if found := pattern.fullmatch(reason):
            return said(found)
    return f"can't be taken ({reason[:200]})"


def is_bound(reason: str) -> bool:
    """Whether it is a number that is too large or too small."""
    return _BOUND.fullmatch(reason) is not None


def _bound(found: re.Match[str]) -> str:
    return f"must be {_BOUNDS[found[2]]} {found[3].removesuffix('.0')}"


def _length(found: re.Match[str]) -> str:
    return f"must have {_BOUNDS[found[2]]} {found[3]} {_UNITS[found[1]]}"


def _type(found: re.Match[str]) -> str:
    # Null stands for leaving it out; who sends something else didn't mean that.
    wanted = [_TYPES.get(name, name) for name in found[1].split(" | ") if name != "null"] or ["null"]
    choice = f"{', '.join(wanted[:-1])} or {wanted[-1]}" if len(wanted) > 1 else wanted[0]
    return f"must be {choice}, not {_TYPES.get(found[2], found[2])}"


def _choice(found: re.Match[str]) -> str:
    return f"can't be {found[1]}" if len(found[1]) <= LONGEST_ECHO else "has a value that is not one of those that are known"


_BOUND = re.compile(r"Expected `(int|float)` (<=|>=|<|>) (\S+)")
_REASONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_BOUND, _bound),
    (re.compile(r"Expected `(str|array|object)` of length (<=|>=) (\d+)"), _length),
    (re.compile(r"Expected `array` of length (\d+), got (\d+)"), lambda found: f"must have {found[1]} elements, not {found[2]}"),
    (re.compile(r"Expected `([^`]+)`, got `([^`]+)`"), _type),
    (re.compile(r"Expected `\w+` that's a multiple of (\S+)"), lambda found: f"must be a multiple of {found[1].removesuffix('.0')}"),
    (re.compile(r"Expected `str` matching regex (.+)", re.DOTALL), lambda found: f"must match the regular expression {found[1]}"),
    (re.compile(r"Invalid (?:enum )?value (.+)", re.DOTALL), _choice),
    (re.compile(r"(?:Number|Integer value) out of range"), lambda _found: "is out of range"),
)
