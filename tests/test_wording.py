"""msgspec's reasons in words: taken from msgspec itself, so that a new version's wording is noticed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from openhearth.wording import in_words


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        (3, Annotated[float, Meta(le=2)], "must be at most 2"),
        (-1, Annotated[int, Meta(ge=0)], "must be at least 0"),
        (0, Annotated[float, Meta(gt=0)], "must be more than 0"),
        (0.5, Annotated[float, Meta(lt=0.25)], "must be less than 0.25"),
        (3, Annotated[int, Meta(multiple_of=2)], "must be a multiple of 2"),
        ("", Annotated[str, Meta(min_length=1)], "must have at least 1 characters"),
        ([1, 2], Annotated[list[int], Meta(max_length=1)], "must have at most 1 elements"),
        ({"a": 1}, Annotated[dict[str, int], Meta(max_length=0)], "must have at most 0 entries"),
        ([1], tuple[int, int], "must have 2 elements, not 1"),
        ("x", int, "must be an integer, not a string"),
        (1, str | list[str] | None, "must be a string or an array, not an integer"),
        ("x", bool | None, "must be true or false, not a string"),
        ("loud", Literal["quiet"], "can't be 'loud'"),
        ("l" * 99, Literal["quiet"], "has a value that is not one of those that are known"),
        ("b", Annotated[str, Meta(pattern="^a")], "must match the regular expression '^a'"),
    ],
)
def test_in_words(value: Any, schema: Any, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, schema)
    assert in_words(str(caught.value)) == said
