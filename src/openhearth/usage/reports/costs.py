"""Costs as line items: `MODEL, input`, `MODEL, cached input`, `MODEL, output`. Dollars are made of whole billionths at the very end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from openhearth.usage.reports.operations import UNLABELED
from openhearth.wire.organization.usage import Amount, CostsResult
from openhearth.wire.organization.usage_queries import CostsQuery

COSTS_MOST: Final = 180
"""Buckets on a page."""
COUNTED: Final = ("input_cost", "cached_cost", "output_cost", "input_tokens", "cached_tokens", "output_tokens")
"""The columns that lines are made of."""
KINDS: Final = ("input", "cached input", "output")
BILLION: Final = 10**9


def models_of(line_items: Iterable[str]) -> list[str]:
    """The models that these lines can be of."""
    return [line.rpartition(", ")[0] for line in line_items]


def cost_results(groups: Sequence[tuple[tuple[Any, ...], tuple[int, ...]]], fields: Sequence[str], query: CostsQuery) -> list[CostsResult]:
    """The results of one bucket. With lines, the model is each group's last value."""
    if "line_item" not in query.group_by and not query.line_items:
        return [_result(fields, group, sum(sums[:3]), query) for group, sums in groups]
    lines = [
        (group[:-1], f"{group[-1]}, {kind}", cost, tokens)
        for group, sums in groups
        for kind, cost, tokens in zip(KINDS, sums[:3], (sums[3] - sums[4], sums[4], sums[5]), strict=True)
        if cost or tokens
    ]
    if query.line_items:
        lines = [line for line in lines if line[1] in query.line_items]
    if "line_item" in query.group_by:
        return [_result(fields, group, cost, query, line, tokens) for group, line, cost, tokens in lines]
    totals: dict[tuple[Any, ...], int] = {}
    for group, _line, cost, _tokens in lines:
        totals[group] = totals.get(group, 0) + cost
    return [_result(fields, group, cost, query) for group, cost in totals.items()]


def _result(
    fields: Sequence[str], group: Sequence[Any], cost: int, query: CostsQuery, line: str | None = None, tokens: int | None = None
) -> CostsResult:
    return CostsResult(
        amount=Amount(cost / BILLION),
        line_item=line,
        quantity=None if tokens is None else float(tokens),
        quantity_unit=None if tokens is None else "tokens",
        api_source=UNLABELED if "api_source" in query.group_by else None,
        **dict(zip(fields, group, strict=True)),
    )
