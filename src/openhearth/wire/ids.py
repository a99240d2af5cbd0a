"""Identifiers as OpenAI shapes them: a prefix and random letters."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 29) -> str:
    """`new_id("chatcmpl-")` -> `chatcmpl-` and `length` random letters and digits."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def request_id() -> str:
    """`req_` and 32 hexadecimal digits, as in the `x-request-id` header."""
    return "req_" + secrets.token_hex(16)
