"""Writes ONNX files of a few nodes, without the library for it: protocol buffers by hand, only the fields that are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

INT64, FLOAT = 7, 1
OPSET = 17


def _number(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _field(number: int, value: int | str | bytes) -> bytes:
    """One field: a number, or bytes with their length before them."""
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    data = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | 2) + _number(len(data)) + data


def _node(kind: str, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    return b"".join([*(_field(1, name) for name in inputs), *(_field(2, name) for name in outputs), _field(4, kind)])


def _tensor(name: str, values: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    sides = b"".join(_field(1, side) for side in values.shape)
    return sides + _field(2, FLOAT) + _field(8, name) + _field(9, values.astype("<f4").tobytes())


def _value(name: str, kind: int, sides: Sequence[str | int]) -> bytes:
    shape = b"".join(_field(1, _field(2, side) if isinstance(side, str) else _field(1, side)) for side in sides)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def encoder(
    words: np.ndarray[Any, np.dtype[np.float32]],
    nodes: Sequence[tuple[str, Sequence[str], Sequence[str]]],
    *,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    output: Sequence[str | int] = ("batch", "length", "size"),
    tensors: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]] | None = None,
) -> bytes:
    """A model that looks ids up in `words` (as `looked_up`), then runs `nodes`, the last of which makes `hidden`."""
    graph = b"".join(
        [
            *(_field(1, _node(*node)) for node in (("Gather", ("words", "input_ids"), ("looked_up",)), *nodes)),
            _field(2, "test"),
            *(_field(5, _tensor(name, values)) for name, values in {"words": words, **(tensors or {})}.items()),
            *(_field(11, _value(name, INT64, ("batch", "length"))) for name in inputs),
            _field(12, _value("hidden", FLOAT, output)),
        ]
    )
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, OPSET))
