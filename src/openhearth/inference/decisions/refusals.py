"""When a model declines: left to itself, it would more likely than not begin its answer with one of these openings (English ones).

Not a filter: what a question is about decides nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence

OPENINGS = (
    "I'm sorry",
    "I\u2019m sorry",
    "I am sorry",
    "Sorry",
    "I can't",
    "I can\u2019t",
    "I cannot",
    "I'm unable",
    "I am unable",
    "I'm not able",
    "I am not able",
    "I won't",
    "I will not",
    "I must decline",
    "I refuse",
)
LIKELY = 0.5


def openings(options: Sequence[str]) -> tuple[str, ...]:
    """Those that no option of the question is like."""
    lowered = [option.lower() for option in options]
    return tuple(one for one in OPENINGS if not any(o.startswith(one.lower()) or one.lower().startswith(o) for o in lowered))
