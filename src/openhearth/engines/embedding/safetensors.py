"""Reads a safetensors file: eight bytes of length, a JSON header, the tensors' bytes. Trusts none of it; writes nothing.

The file is mapped, not read: what a model never touches (most rows of a word table) stays on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np

    Tensor = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

LARGEST_HEADER = 16 * 2**20
LARGEST_DIMENSIONS = 8
_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


class BrokenFile(ValueError):
    """The file is not what it says it is."""


class _Entry(msgspec.Struct, frozen=True):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def read(path: Path) -> Mapping[str, Tensor]:
    """Every floating-point tensor as float32, by name; others (position ids) are left out. Raises BrokenFile."""
    import numpy as np

    if path.stat().st_size < 8:
        raise BrokenFile(f"{path.name} is too short to be a safetensors file.")
    data = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(data[:8].tobytes(), "little")
    if length > min(LARGEST_HEADER, len(data) - 8):
        raise BrokenFile(f"{path.name}: a header of {length} bytes does not fit the file.")
    entries = _entries(data[8 : 8 + length].tobytes(), path.name)
    body = data[8 + length :]
    return {name: _tensor(body, entry, name) for name, entry in entries.items() if entry.dtype in _ITEM_BYTES}


def _entries(header: bytes, file: str) -> dict[str, _Entry]:
    try:
        raw = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        return {name: msgspec.json.decode(value, type=_Entry) for name, value in raw.items() if name != "__metadata__"}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BrokenFile(f"{file}: its header is not a table of tensors.") from None


def _tensor(body: np.ndarray[tuple[int], np.dtype[np.uint8]], entry: _Entry, name: str) -> Tensor:
    import numpy as np

    begin, end = entry.data_offsets
    count = 1
    for side in entry.shape:
        count *= side
    shaped = len(entry.shape) <= LARGEST_DIMENSIONS and min(entry.shape, default=1) >= 0
    if not (shaped and 0 <= begin <= end <= len(body) and end - begin == count * _ITEM_BYTES[entry.dtype]):
        raise BrokenFile(f"Tensor {name!r} does not fit its file: the model is truncated or corrupt.")
    raw = body[begin:end]
    if entry.dtype == "BF16":
        # The upper half of a float32.
        widened = raw.view("<u2") if not begin % 2 else np.frombuffer(raw.tobytes(), "<u2")
        return (widened.astype(np.uint32) << 16).view(np.float32).reshape(entry.shape)
    stored = np.dtype("<f4" if entry.dtype == "F32" else "<f2")
    return np.frombuffer(raw, stored).reshape(entry.shape).astype(np.float32, copy=False)
