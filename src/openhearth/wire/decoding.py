"""Bytes from a client -> a request struct, or InvalidRequest that names the field.

What the JSON decoder lets through but must not reach an engine or a database is refused here: excessive depth, lone surrogates, NUL.
Sizes of single fields are the schemas' own business.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate
from typing import Any, TypeVar, cast

import msgspec

from openhearth.errors import InvalidRequest
from openhearth.wording import in_words, is_bound

T = TypeVar("T")

MAX_DEPTH = 128
MAX_BRACKETS = 250_000
"""Objects and lists, and brackets in texts. Each costs the decoder far more than a letter, and no request needs so many."""
# Possessive: an end that is missing is looked for once.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_MANY = 20_000
_LARGEST_LOOKED_INTO = 1 << 20
_PATH = re.compile(r" - at `\$(.*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")


def decode(body: bytes, schema: type[T]) -> T:
    """Decode and validate `body`. Raises InvalidRequest with `param` set to the offending field's path."""
    check_text(body)
    try:
        decoder: msgspec.json.Decoder[T] = _decoder(cast("Any", schema))
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise explain(error, body) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error}.", code="invalid_json") from None


def convert(value: Any, schema: type[T], *, strict: bool = True) -> T:
    """The same for values that are already decoded, e.g. a query string's."""
    try:
        return msgspec.convert(value, schema, strict=strict)
    except msgspec.ValidationError as error:
        raise explain(error) from None


def check_text(body: bytes) -> None:
    """Refuse an empty body, deep nesting, NUL characters and lone surrogates, in one pass each and in C where possible."""
    if not body:
        raise InvalidRequest("The request body is empty; send a JSON object.", code="invalid_json")
    if body.count(b"[") + body.count(b"{") > MAX_BRACKETS:
        raise InvalidRequest(f"The request body has more than {MAX_BRACKETS} opening brackets.", code="invalid_json")
    if depth(body) > MAX_DEPTH:
        raise InvalidRequest(f"The request body is nested deeper than {MAX_DEPTH} levels.", code="invalid_json")
    if b"\\u0000" in body and _escaped_nul(body):
        raise InvalidRequest("The request contains a NUL character (\\u0000), which no model can read.", code="invalid_text")
    if b"\\ud" in body or b"\\uD" in body:
        _check_surrogates(body)


def depth(body: bytes) -> int:
    """The nesting depth; 0 for bodies with so few brackets that it doesn't matter. Linear in the body's length."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    steps = _STRINGS.sub(b"", body).translate(_STEPS, _NO_BRACKETS)
    if len(steps) < _MANY:
        return max(accumulate(1 if step == 1 else -1 for step in steps), default=0)
    import numpy as np

    return int(np.frombuffer(steps, np.int8).cumsum(dtype=np.int32).max())


def _escaped_nul(body: bytes) -> bool:
    return re.search(rb"(?<!\\)(?:\\\\)*\\u0000", body) is not None


def _check_surrogates(body: bytes) -> None:
    try:
        body.decode()
        text = re.sub(rb"\\\\", b"", body)
    except UnicodeDecodeError:
        return  # the decoder gives the better message
    pairs = re.sub(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}", b"", text)
    if re.search(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}", pairs):
        raise InvalidRequest("The request contains half of a surrogate pair, which is not a character.", code="invalid_text")


def explain(error: msgspec.ValidationError, body: bytes = b"") -> InvalidRequest:
    """msgspec's words -> OpenAI's: a sentence and the field's path. A number that is out of bounds is looked for in `body` and told."""
    message = str(error)
    path = found.group(1).lstrip(".") if (found := _PATH.search(message)) else ""
    reason = _PATH.sub("", message)
    if unknown := _UNKNOWN.search(reason):
        name = ".".join(filter(None, (path, unknown.group(1))))
        return InvalidRequest(f"Unrecognized request argument supplied: {name}", param=name, code="unknown_parameter")
    if missing := _MISSING.search(reason):
        name = ".".join(filter(None, (path, missing.group(1))))
        return InvalidRequest(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    got = f", got {number}" if is_bound(reason) and (number := _number_at(body, path)) is not None else ""
    name = f"'{path}'" if path else "The request body"
    return InvalidRequest(f"{name} {in_words(reason)}{got}.", param=path or None, code="invalid_value")


def _number_at(body: bytes, path: str) -> float | None:
    if len(body) > _LARGEST_LOOKED_INTO:
        return None
    try:
        value = msgspec.json.decode(body)
        for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
            value = value[int(index)] if index else value[name]
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError, ValueError):
        return None
    return value if isinstance(value, int | float) else None


@lru_cache(maxsize=256)
def _decoder(schema: Any) -> Any:
    return msgspec.json.Decoder(schema)
