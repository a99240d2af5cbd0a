"""What is let through to the schemas, and what is refused before."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhearth.errors import InvalidRequest
from openhearth.wire.decoding import MAX_DEPTH, decode, depth


class Anything(msgspec.Struct):
    value: Any


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4)
    ),
    max_leaves=30,
)


@given(JSON, st.booleans())
def test_good_json_comes_through_unchanged(value: Any, ascii_only: bool) -> None:
    body = json.dumps({"value": value}, ensure_ascii=ascii_only).encode()
    assert decode(body, Anything).value == value


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    try:
        decode(b'{"value":' + body + b"}", Anything)
    except InvalidRequest as error:
        assert error.code in {"invalid_json", "invalid_text", "invalid_value", "missing_required_parameter"}


class Sampling(msgspec.Struct):
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] = 1.0
    stops: Annotated[list[Annotated[int, msgspec.Meta(le=9)]], msgspec.Meta(max_length=4)] = []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"temperature": 3}', "'temperature' must be at most 2, got 3."),
        (b'{"stops": [1, 70]}', "'stops[1]' must be at most 9, got 70."),
        (b'{"temperature": -0.5}', "'temperature' must be at least 0, got -0.5."),
        (b'{"temperature": "' + b"hot" * 1000 + b'"}', "'temperature' must be a number, not a string."),
        (b'{"stops": [1, 2, 3, 4, 5]}', "'stops' must have at most 4 elements."),
        (b"[]", "The request body must be an object, not an array."),
        (b'{"temperature": 3, ' + b'"x": ' * 9, "'temperature' must be at most 2."),
    ],
)
def test_mistakes_are_told_in_words(body: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(body, Sampling)
    assert caught.value.message == said


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, 50_000])
def test_depth_is_bounded(levels: int) -> None:
    body = b'{"value":' + b"[" * levels + b"]" * levels + b"}"
    if levels < MAX_DEPTH:
        decode(body, Anything)
    else:
        with pytest.raises(InvalidRequest, match="nested deeper"):
            decode(body, Anything)


def test_brackets_in_strings_are_no_depth() -> None:
    body = json.dumps({"value": "[" * 100_000 + '\\"[{'}).encode()
    assert depth(body) <= 2
    assert len(decode(body, Anything).value) == 100_004


@pytest.mark.parametrize("text", ["\\\\u0000", "\\\\\\\\u0000", "\\ud83d\\ude00", "\\\\ud800"])
def test_escaped_backslashes_and_pairs_are_fine(text: str) -> None:
    decode(f'{{"value":"{text}"}}'.encode(), Anything)


@pytest.mark.parametrize("text", ["\\u0000", "\\\\\\u0000", "\\ud83d", "\\ude00", "\\ud83d\\ud83d", "\\\\\\ud800", "a\\uD800b"])
def test_nul_and_half_pairs_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(f'{{"value":"{text}"}}'.encode(), Anything)
    assert caught.value.code == "invalid_text"


@pytest.mark.parametrize(
    "body",
    [
        b"[]" * 130 + b'"' + b'\\"' * 500_000,
        b"[" + b"[]," * 2_000_000 + b"[]]",
        b'{"a": "' + b"x" * 8_000_000 + b'", "b": [' + b"[], " * 200 + b"[]]}",
    ],
)
def test_depth_is_found_in_linear_time(body: bytes) -> None:
    """The first took hours when it was looked for with a backtracking expression; the test's own timeout would say so."""
    assert depth(body) <= 3


@pytest.mark.parametrize(("body", "expected"), [(b"[" * 200 + b"]" * 200, 200), (b"[" * 100_000, 100_000), (b'["[[["]' * 200, 1)])
def test_depth(body: bytes, expected: int) -> None:
    assert depth(body) == expected
