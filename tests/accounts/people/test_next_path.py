"""Where a login leads to."""

from __future__ import annotations

import pytest

from openhearth.accounts.people.next_path import safe_next


@pytest.mark.parametrize("path", ["/", "/console", "/a/b?c=d&e=%2F%2Fx#f"])
def test_paths_of_this_server(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None, "", "console", "https://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)", "/a\r\nSet-Cookie: a=b", " /console", "/ü", "/" + "a" * 600, "\x00//evil", "http:evil.example",
    ],
)  # fmt: skip
def test_nothing_else(path: str | None) -> None:
    assert safe_next(path) is None
