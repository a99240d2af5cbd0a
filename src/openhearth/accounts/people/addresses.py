"""E-mail addresses and names as people type them, made safe to keep, to compare, to mail and to show."""

from __future__ import annotations

import re

from openhearth.errors import InvalidRequest

LONGEST_EMAIL = 254
LONGEST_NAME = 256
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"[a-z0-9!#$%&'*+/=?^_`{{|}}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@{_LABEL}(?:\.{_LABEL})*")
"""What mail is sent to in practice, in ASCII: letters that only look alike can't pass for one another, and nothing ends a header's line."""


def known_form(email: str) -> str | None:
    """In lower case, without blanks around it. None: not an address."""
    if len(email) > LONGEST_EMAIL or not email.isascii():
        return None
    made = email.strip(" ").lower()
    return made if _EMAIL.fullmatch(made) and made.index("@") <= 64 else None


def checked_email(email: str, param: str = "email") -> str:
    """The same; raises InvalidRequest."""
    made = known_form(email)
    if made is None:
        raise InvalidRequest(
            "This is not an e-mail address like 'name@example.com' (ASCII letters; other domains in their xn-- form).",
            param=param,
            code="invalid_email",
        )
    return made


def checked_name(name: str, param: str = "name") -> str:
    """One line of ordinary characters. Raises InvalidRequest."""
    made = name.strip()
    if len(made) > LONGEST_NAME or not made.isprintable():
        raise InvalidRequest(f"A name is one line of at most {LONGEST_NAME} characters.", param=param, code="invalid_value")
    return made


def domain(email: str) -> str:
    return email.rpartition("@")[2]
