"""What a request gives to embed -> a list of texts or of token ids, checked as far as that needs no engine, and cut into pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from openhearth.errors import InvalidRequest
from openhearth.wire.embeddings import MAX_INPUTS, MAX_TOKENS

PIECE_INPUTS = 32
PIECE_SIZE = 32 * 1024
"""Characters, or four times the token ids, of one piece: some seconds' work for a small model on a slow machine."""
TOKEN_SIZE = 4

Input = str | list[int]
T = TypeVar("T")


def read_inputs(given: str | list[str | int | list[int]]) -> list[Input]:
    """The four shapes -> texts, or lists of token ids. Raises InvalidRequest: nothing, too many, an empty one, several kinds."""
    parts: list[str | int | list[int]] = [given] if isinstance(given, str) else given
    if parts and isinstance(parts[0], int):
        parts = [_one_kind(parts, int)]
    inputs: list[Input] = _one_kind(parts, str) if parts and isinstance(parts[0], str) else _one_kind(parts, list)
    if not inputs:
        raise InvalidRequest("'input' is empty: give it a text, or a list of token ids.", param="input", code="invalid_value")
    if len(inputs) > MAX_INPUTS:
        raise InvalidRequest(f"'input' has {len(inputs)} inputs; a request can have {MAX_INPUTS}.", param="input", code="invalid_value")
    for number, one in enumerate(inputs):
        if not one:
            where = f"input[{number}]" if isinstance(given, list) else "input"
            raise InvalidRequest(f"'{where}' is empty; there is nothing to embed.", param="input", code="invalid_value")
    if sum(len(one) for one in inputs if isinstance(one, list)) > MAX_TOKENS:
        raise too_many_tokens()
    return inputs


def _one_kind(parts: Sequence[object], kind: type[T]) -> list[T]:
    found = [part for part in parts if isinstance(part, kind)]
    if len(found) < len(parts):
        raise InvalidRequest(
            "'input' mixes texts, token ids and lists of token ids; give it one kind.", param="input", code="invalid_value"
        )
    return found


def too_many_tokens() -> InvalidRequest:
    """The refusal that says the limit."""
    return InvalidRequest(
        f"The inputs have more than {MAX_TOKENS} tokens together, the most for one request. Send them in several requests.",
        param="input",
        code="invalid_value",
    )


def pieces(inputs: Sequence[Input]) -> Iterator[list[Input]]:
    """The inputs in order, in pieces that don't keep an engine busy for long."""
    piece: list[Input] = []
    size = 0
    for one in inputs:
        adds = len(one) * (1 if isinstance(one, str) else TOKEN_SIZE)
        if piece and (len(piece) == PIECE_INPUTS or size + adds > PIECE_SIZE):
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += adds
    if piece:
        yield piece


def check_ids(inputs: Sequence[Input], vocabulary: int, model: str) -> None:
    """Raises InvalidRequest for an id that the model doesn't have."""
    for number, one in enumerate(inputs):
        if isinstance(one, list) and max(one) >= vocabulary:
            raise InvalidRequest(
                f"Input {number} has the token id {max(one)}, but '{model}' knows {vocabulary} tokens. Are they another model's?",
                param="input",
                code="invalid_value",
            )
