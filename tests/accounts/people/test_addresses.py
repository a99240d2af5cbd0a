"""What counts as an address, and as a name."""

from __future__ import annotations

import pytest

from openhearth.accounts.people.addresses import checked_email, checked_name, known_form
from openhearth.errors import InvalidRequest


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        (" ada.b+tag@mail.example.co.uk ", "ada.b+tag@mail.example.co.uk"),
        ("owner@localhost", "owner@localhost"),
        ("o'neil_1@xn--bcher-kva.example", "o'neil_1@xn--bcher-kva.example"),
    ],
)
def test_addresses_are_kept_in_one_form(typed: str, kept: str) -> None:
    assert checked_email(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "", "ada", "@example.com", "ada@", "a@b@c", "ada@exa mple.com", "ada@example..com", ".ada@example.com", "ada@-example.com",
        "ada@example.com\nBcc: all@example.com", "ada@example.com\r\n", "<ada@example.com>", "ada@example.com,bob@example.com",
        "ad\u0430@example.com", "ada@example.com\0", "x" * 65 + "@example.com", "ada@" + "a." * 200 + "com",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(typed: str) -> None:
    assert known_form(typed) is None
    with pytest.raises(InvalidRequest) as caught:
        checked_email(typed)
    assert caught.value.param == "email"


def test_names_are_one_line() -> None:
    assert checked_name("  Ada Löwe ") == "Ada Löwe"
    for wrong in ("two\nlines", "\x1b[31m", "x" * 300, "\u202eevil"):
        with pytest.raises(InvalidRequest):
            checked_name(wrong)
