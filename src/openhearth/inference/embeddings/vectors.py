"""Vectors between the forms that engines give and clients want: numbers, or little-endian float32 in base64. Computes none."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from openhearth.errors import EngineFailed, InvalidRequest

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def written(given: str | list[float], *, as_text: bool, dimensions: int | None = None) -> str | list[float]:
    """One vector as the client wants it; with `dimensions` its first ones, of length 1 again.

    Raises InvalidRequest for more dimensions than there are, EngineFailed for what is no vector.
    """
    if dimensions is None and as_text and isinstance(given, str):
        return given
    vector = _read(given)
    if dimensions is not None and dimensions != len(vector):
        vector = shortened(vector, dimensions)
    if as_text:
        return base64.b64encode(vector.tobytes()).decode()
    numbers: list[float] = vector.tolist()
    return numbers


def shortened(vector: Vector, dimensions: int) -> Vector:
    """The first dimensions, scaled to length 1. For models that were trained for it these keep most of the meaning."""
    import numpy as np

    if dimensions > len(vector):
        raise InvalidRequest(
            f"The model makes vectors of {len(vector)} dimensions; {dimensions} were asked for.", param="dimensions", code="invalid_value"
        )
    cut = vector[:dimensions]
    length = float(np.linalg.norm(cut))
    return (cut / np.float32(length)).astype("<f4", copy=False) if length else cut


def _read(given: str | list[float]) -> Vector:
    import numpy as np

    try:
        with np.errstate(over="ignore"):
            vector = np.frombuffer(base64.b64decode(given, validate=True), "<f4") if isinstance(given, str) else np.array(given, "<f4")
    except (binascii.Error, ValueError):
        raise EngineFailed("The engine's embedding can't be read.") from None
    if not len(vector) or not np.isfinite(vector).all():
        raise EngineFailed("The engine's embedding is not a vector of numbers.")
    return vector
