"""What usage costs, in whole billionths of a dollar, so that sums of any number of requests are exact."""

from __future__ import annotations

from typing import NamedTuple

from openhearth.accounts.work import Price, Usage, Work

BILLIONTHS_PER_CENT = 10**7
_PER_TOKEN = 1000
"""A dollar for a million tokens is a thousand billionths for each."""


class Cost(NamedTuple):
    """Billionths of a dollar."""

    input: int
    cached: int
    output: int

    @property
    def total(self) -> int:
        return self.input + self.cached + self.output


def cost_of(usage: Usage, price: Price) -> Cost:
    """Each part rounded by itself."""
    return Cost(
        _times(usage.prompt_tokens - usage.cached_tokens, price.input),
        _times(usage.cached_tokens, price.cached_input),
        _times(usage.completion_tokens, price.output),
    )


def expected_cost(work: Work) -> int:
    """The most that the work should cost, as far as it says."""
    return _times(work.expected_input, work.price.input) + _times(work.expected_output, work.price.output)


def _times(tokens: int, price: float) -> int:
    return round(tokens * price * _PER_TOKEN) if price else 0
