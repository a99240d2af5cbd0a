"""What clients are told of rate limits, in OpenAI's words: 429 and the `x-ratelimit-*` headers."""

from __future__ import annotations

import math
from typing import Final, Literal

from openhearth.errors import RateLimited
from openhearth.limits.buckets import EPSILON, Holding

Kind = Literal["requests_per_minute", "tokens_per_minute", "requests_per_day"]

_WORDS: Final[dict[Kind, tuple[str, Literal["requests", "tokens"]]]] = {
    "requests_per_minute": ("requests per min (RPM)", "requests"),
    "tokens_per_minute": ("tokens per min (TPM)", "tokens"),
    "requests_per_day": ("requests per day (RPD)", "requests"),
}
_WHO_SETS = "`openhearth limits` on the server, or /v1/organization/projects/.../rate_limits, shows and sets the limits."


def limit_reached(kind: Kind, holding: Holding, model: str, organization_id: str, requested: int) -> RateLimited:
    """There will be room later. The holding was ticked just now."""
    words, of = _WORDS[kind]
    level = holding.level
    wait_s = (requested - level) / holding.rate
    used = math.ceil(holding.capacity - level - EPSILON)
    return RateLimited(
        f"Rate limit reached for {model} in organization {organization_id} on {words}: Limit {holding.capacity:.0f}, Used {used}, "
        f"Requested {requested}. Please try again in {duration(wait_s)}. {_WHO_SETS}",
        retry_after_s=wait_s,
        of=of,
    )


def too_large(kind: Kind, capacity: float, model: str, organization_id: str, requested: int) -> RateLimited:
    """More than the whole limit: waiting is no use."""
    words, of = _WORDS[kind]
    what = "The input or output tokens must be reduced in order to run successfully." if of == "tokens" else "No request is allowed."
    return RateLimited(
        f"Request too large for {model} in organization {organization_id} on {words}: Limit {capacity:.0f}, Requested {requested}. "
        f"{what} {_WHO_SETS}",
        retry_after_s=None,
        of=of,
    )


def headers(requests: Holding, tokens: Holding) -> dict[str, str]:
    """The six headers. The holdings were ticked just now."""
    return {
        "x-ratelimit-limit-requests": str(int(requests.capacity)),
        "x-ratelimit-limit-tokens": str(int(tokens.capacity)),
        "x-ratelimit-remaining-requests": _remaining(requests),
        "x-ratelimit-remaining-tokens": _remaining(tokens),
        "x-ratelimit-reset-requests": _reset(requests),
        "x-ratelimit-reset-tokens": _reset(tokens),
    }


def _remaining(holding: Holding) -> str:
    return str(max(0, int(holding.level + EPSILON)))


def _reset(holding: Holding) -> str:
    return duration((holding.capacity - holding.level) / holding.rate if holding.rate else 0.0)


def duration(seconds: float) -> str:
    """As OpenAI writes them: `120ms`, `1s`, `1.5s`, `6m0s`, `23h59m58.2s`. Rounded up to milliseconds."""
    ms = max(0, math.ceil(seconds * 1000 - EPSILON))
    if 0 < ms < 1000:
        return f"{ms}ms"
    minutes, ms = divmod(ms, 60_000)
    shown = f"{ms / 1000:g}s" if ms % 1000 else f"{ms // 1000}s"
    if not minutes:
        return shown
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{shown}" if hours else f"{minutes}m{shown}"
