"""Texts that can't fit a model's context, told from their beginning, so that nobody tokenises megabytes only to refuse them.

Says nothing of texts that may fit: those are counted whole by whoever uses them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

LONG = 16
"""Characters per token of the context up to which counting a text whole is quick enough."""
LONGEST_TOKEN = 512
"""Characters. No vocabulary has longer ones; only the unknown word of some may stand for more."""
_LEAST_PIECE, _LARGEST_PIECE = 2**14, 2**18
_JOINT = 2
"""Tokens of a piece that may be there only because the text was cut there."""

Count = Callable[[str], Awaitable[int]]


async def surely_more(text: str, context: int, count: Count) -> int | None:
    """A number of tokens above `context` that the text has at least. None: it may have fewer.

    `count` is given pieces of the text. An eighth above the context is asked for, since cut texts count a little otherwise than whole ones.
    """
    if len(text) <= LONG * context:
        return None
    if len(text) > LONGEST_TOKEN * context:
        return len(text) // LONGEST_TOKEN
    size = min(_LARGEST_PIECE, max(_LEAST_PIECE, 8 * context))
    found = 0
    for start in range(0, len(text), size):
        found += max(0, await count(text[start : start + size]) - _JOINT)
        if found > context + context // 8:
            return found
    return None
