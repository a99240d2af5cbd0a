"""Identifiers as OpenAI shapes them: a prefix and random letters."""

from __future__ import annotations

import secrets
import string

_ALPHABET = (string.ascii_letters + string.digits).encode()
_OF_BYTE = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))


def new_id(prefix: str, length: int = 29) -> str:
    """`new_id("chatcmpl-")` -> `chatcmpl-` and `length` random letters and digits: unique, not a secret (some letters come oftener)."""
    return prefix + secrets.token_bytes(length).translate(_OF_BYTE).decode()


def request_id() -> str:
    """`req_` and 32 hexadecimal digits, as in the `x-request-id` header."""
    return "req_" + secrets.token_hex(16)
