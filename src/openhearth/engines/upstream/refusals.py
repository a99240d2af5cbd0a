"""What an upstream server says went wrong -> our errors. Its key is our affair: a client of ours never gets a 401 for it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

from openhearth.engines.upstream.address import Address
from openhearth.errors import (
    ContextLengthExceeded,
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    ModelNotFound,
    OpenHearthError,
    RateLimited,
    ServerError,
)

LONGEST_MESSAGE = 2_000
LONGEST_NAME = 200
LONGEST_RETRY_AFTER_S = 3_600.0
DEFAULT_RETRY_AFTER_S = 5.0
DISMISSED = (401, 402, 403)
NO_CREDIT = "insufficient_quota"


class UpstreamTimeout(ServerError):
    """It did not answer in time. No EngineTimeout: on that the pool replaces an engine, and others' answers would end with it."""

    status = 504
    code = "engine_timeout"


class Told(msgspec.Struct, frozen=True):
    """An error in its words. All may be missing."""

    message: str = ""
    type: str = ""
    code: str | int | None = None
    param: str | None = None


def read(address: Address, body: bytes) -> Told:
    """OpenAI's envelope, or what FastAPI, older vLLM and Ollama say instead of it."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Told()
    if not isinstance(decoded, dict):
        return Told()
    error = decoded.get("error", decoded.get("detail", decoded))
    if not isinstance(error, dict):
        return Told(_text(address, error, LONGEST_MESSAGE))
    code = error.get("code")
    return Told(
        _text(address, error.get("message"), LONGEST_MESSAGE),
        _text(address, error.get("type"), LONGEST_NAME),
        code if isinstance(code, int) else _text(address, code, LONGEST_NAME) or None,
        _text(address, error.get("param"), LONGEST_NAME) or None,
    )


def _text(address: Address, value: object, longest: int) -> str:
    return address.without_key(value)[:longest] if isinstance(value, str) else ""


def of_status(address: Address, status: int, body: bytes, headers: Mapping[str, str]) -> OpenHearthError:
    """The error for a reply of this status."""
    told = read(address, body)
    server = f"The upstream server {address.shown}"
    if status in DISMISSED:
        return EngineUnavailable(f"{server} refused its key (status {status}). The owner of this server has to see to it.")
    if status == 429:
        return _limited(server, told, retry_after_s(headers))
    if status == 503:
        return _busy(f"{server} can't work now: {_because(told)}", retry_after_s(headers))
    if 400 <= status < 500 and status != 408:
        return _refused(told, status)
    if 300 <= status < 400:
        return EngineFailed(f"{server} redirects elsewhere, which is not followed: its base_url must be the final address.")
    return EngineFailed(f"{server} failed with status {status}: {_because(told)}")


def of_event(address: Address, payload: bytes) -> OpenHearthError:
    """The error for an error event inside a stream."""
    told = read(address, payload)
    if isinstance(told.code, int) and 400 <= told.code < 600:
        return of_status(address, told.code, payload, {})
    if told.type in ("requests", "tokens") or told.code == RateLimited.code:
        return of_status(address, 429, payload, {})
    if told.type == InvalidRequest.type:
        return _refused(told, 404 if told.code == ModelNotFound.code else 400)
    return EngineFailed(f"The upstream server {address.shown} stopped with an error: {_because(told)}")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` (seconds or a date) or `retry-after-ms` ask for, within an hour."""
    milliseconds, asked = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        seconds = float(milliseconds) / 1000 if milliseconds else float(asked or "nan")
    except ValueError:
        seconds = _until(asked or "")
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) else None


def _until(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError, OSError):
        return math.nan


def _limited(server: str, told: Told, wait_s: float | None) -> RateLimited:
    wait_s = DEFAULT_RETRY_AFTER_S if wait_s is None else wait_s
    error = RateLimited(f"{server} takes no more for now: {_because(told)}", retry_after_s=wait_s)
    if told.code == NO_CREDIT:
        error.code = NO_CREDIT
    return error


def _busy(message: str, wait_s: float | None) -> EngineUnavailable:
    return EngineUnavailable(message, headers=None if wait_s is None else {"retry-after": str(max(1, round(wait_s)))})


def _refused(told: Told, status: int) -> OpenHearthError:
    message = _because(told)
    if told.code == ContextLengthExceeded.code or told.type == "exceed_context_size_error" or "maximum context length" in message:
        return ContextLengthExceeded(message, param=told.param)
    if told.code == ModelNotFound.code or (status == 404 and "model" in message.lower()):
        return ModelNotFound(message, param=told.param or "model")
    if status in (404, 405):
        message = f"The upstream server can't do this: {message}"
    return InvalidRequest(message, param=told.param, code=told.code if isinstance(told.code, str) else "engine_refused")


def _because(told: Told) -> str:
    return told.message or "it gave no reason."
