"""Texts and numbers that several administration requests hold, within bounds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

NAME_LENGTH = 256
YEAR_S = 31_536_000

# The end is a look-ahead, because `$` would let a line break at the end pass.
Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+(?![\s\S])")]
"""What people call a thing: one line without control characters."""

Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
"""An id, or something that claims to be one."""

Lifetime = Annotated[int, Meta(ge=1, le=YEAR_S)]
"""Seconds that a key lives: a year at most, as OpenAI has it."""

Scopes = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=64)]
"""Permissions by name."""
