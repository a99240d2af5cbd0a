"""What clients are told of limits, as OpenAI writes it."""

from __future__ import annotations

import pytest

from openhearth.limits.buckets import Holding
from openhearth.limits.refusals import duration, headers, limit_reached, too_large


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (-1, "0s"),
        (0.0001, "1ms"),
        (0.12, "120ms"),
        (0.9999, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.999, "59.999s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (518.4, "8m38.4s"),
        (86_398.2, "23h59m58.2s"),
        (86_400, "24h0m0s"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def emptied(limit: int, period: float = 60.0) -> Holding:
    holding = Holding(limit, period)
    holding.rest = 0.0
    return holding


def test_the_words() -> None:
    error = limit_reached("requests_per_minute", emptied(3), "smollm2:135m", "org-1", 1)
    assert error.message.startswith(
        "Rate limit reached for smollm2:135m in organization org-1 on requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 20s. "
    )
    assert (error.status, error.type, error.code) == (429, "requests", "rate_limit_exceeded")
    assert error.headers == {"retry-after": "20", "retry-after-ms": "20000"}
    error = limit_reached("tokens_per_minute", emptied(600), "m", "org-1", 15)
    assert "on tokens per min (TPM): Limit 600, Used 600, Requested 15. Please try again in 1.5s." in error.message
    assert error.type == "tokens"
    assert error.headers == {"retry-after": "2", "retry-after-ms": "1500"}
    assert "requests per day (RPD): Limit 100, " in limit_reached("requests_per_day", emptied(100, 86_400.0), "m", "o", 1).message


def test_what_can_never_pass_is_not_tried_again() -> None:
    error = too_large("tokens_per_minute", 600, "m", "org-1", 601)
    assert error.message.startswith("Request too large for m in organization org-1 on tokens per min (TPM): Limit 600, Requested 601. ")
    assert error.headers == {"x-should-retry": "false"}


def test_the_six_headers() -> None:
    requests, tokens = Holding(10, 60.0), emptied(6000)
    assert headers(requests, tokens) == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-limit-tokens": "6000",
        "x-ratelimit-remaining-requests": "10",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-requests": "0s",
        "x-ratelimit-reset-tokens": "1m0s",
    }
