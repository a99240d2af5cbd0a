"""`POST /v1/edits`, which OpenAI retired in 2024 and older programs still call."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class EditRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client may send. None means the same as absent."""

    model: Annotated[str, Meta(max_length=512)] | None = None
    instruction: Annotated[str, Meta(min_length=1)]
    input: str | None = None
    n: Annotated[int, Meta(ge=1, le=20)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None


class EditChoice(msgspec.Struct, frozen=True):
    text: str
    index: int


class EditUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Edit(msgspec.Struct, frozen=True):
    """The edited text, `n` times."""

    created: int
    choices: list[EditChoice]
    usage: EditUsage
    object: Literal["edit"] = "edit"
