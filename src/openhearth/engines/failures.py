"""What an engine says went wrong -> our errors. Also says when it is only not ready yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from openhearth.errors import ContextLengthExceeded, EngineFailed, EngineUnavailable, InvalidRequest, OpenHearthError

_TOO_LARGE = re.compile(r"input \((\d+) tokens\) is too large to process.*\(current batch size: (\d+)\)")
"""llama.cpp's 500 for an input to embed that is longer than its batch, which is as long as the context."""


class NotReady(EngineUnavailable):
    """The engine still loads its model."""


def of_status(status: int, body: bytes, headers: Mapping[str, str]) -> OpenHearthError:
    """The error for a reply of this status."""
    del headers
    error = _error(body)
    if status == 503:
        return NotReady("The engine is not ready yet. Try again.")
    if 400 <= status < 500 and status not in (401, 403, 404, 405):
        return _refused(error)
    if too_large := _TOO_LARGE.search(_message(error)):
        return context_exceeded(int(too_large[1]), int(too_large[2]))
    return EngineFailed(f"The engine answered with status {status}: {_message(error)}")


def of_event(payload: bytes) -> OpenHearthError:
    """The error for an event `{"error": ...}` inside a stream."""
    error = _error(payload)
    code = error.get("code")
    if isinstance(code, int) and 400 <= code < 500:
        return _refused(error)
    return EngineFailed(f"The engine stopped with an error: {_message(error)}")


def _refused(error: Mapping[str, Any]) -> OpenHearthError:
    if error.get("type") == "exceed_context_size_error":
        return context_exceeded(int(error.get("n_prompt_tokens") or 0), int(error.get("n_ctx") or 0))
    return InvalidRequest(f"The engine can't do this: {_message(error)}", code="engine_refused")


def context_exceeded(
    prompt_tokens: int, context: int, answer_tokens: int | None = None, param: str = "messages", *, at_least: bool = False
) -> ContextLengthExceeded:
    """The 400 with both numbers, in OpenAI's words. `at_least`: the prompt was not counted to its end."""
    wanted = f"your request has {'at least ' if at_least else ''}{prompt_tokens} tokens"
    if answer_tokens and not at_least:
        total = prompt_tokens + answer_tokens
        wanted = f"you requested {total} tokens ({prompt_tokens} in the prompt, {answer_tokens} in the answer)"
    return ContextLengthExceeded(
        f"This model's maximum context length is {context} tokens, however {wanted}. Shorten the input or split it; if the model was "
        "trained on more, engines.context gives it more.",
        param=param,
    )


def _error(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    error = decoded.get("error") if isinstance(decoded, dict) else None
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else {}


def _message(error: Mapping[str, Any]) -> str:
    message = error.get("message")
    return message[:500] if isinstance(message, str) and message else "no reason given."
