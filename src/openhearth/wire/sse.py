"""Server-sent events as OpenAI frames them."""

from __future__ import annotations

from collections.abc import Iterable

DONE = b"data: [DONE]\n\n"


def event(payload: bytes) -> bytes:
    """One event from one line of JSON."""
    return b"data: " + payload + b"\n\n"


def events(payloads: Iterable[bytes]) -> bytes:
    """Several ready events as one write."""
    return b"".join(b"data: " + payload + b"\n\n" for payload in payloads)
