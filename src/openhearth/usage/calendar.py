"""Calendar months and days, UTC, as Unix seconds. Everything here follows the wall clock; what must be regular doesn't come here."""

from __future__ import annotations

from datetime import UTC, datetime

DAY_S = 86400


def month_of(timestamp: float) -> int:
    """The start of the month."""
    return int(datetime.fromtimestamp(timestamp, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp())


def next_month(month: int) -> int:
    """The start of the month after the one that starts at `month`."""
    return month_of(month + 32 * DAY_S)
