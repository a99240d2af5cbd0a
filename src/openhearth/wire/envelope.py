"""The error envelope: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import msgspec

from openhearth.errors import OpenHearthError


class ErrorBody(msgspec.Struct, frozen=True):
    """What stands under `error`; OpenAI sends all four always, null where there is nothing to say."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(msgspec.Struct, frozen=True):
    """A whole error reply, and the data of an error event inside a stream."""

    error: ErrorBody


def render(error: OpenHearthError) -> bytes:
    """The envelope as JSON bytes."""
    return msgspec.json.encode(ErrorEnvelope(ErrorBody(error.message, error.type, error.param, error.code)))
