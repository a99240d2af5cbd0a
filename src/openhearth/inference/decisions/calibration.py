"""What a model says before it has read anything: its leaning towards one option, for its words, its length or its place. It is taken out.

Content-free calibration (Zhao et al. 2021) asks the same questions about inputs that say nothing; batch calibration (Zhou et al. 2023)
about inputs of the kind to be judged, whose answers nobody need know. Remembers what it found; evaluates nothing itself.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from openhearth.errors import InvalidRequest
from openhearth.inference.decisions.answers import distribution
from openhearth.wire.decisions import Calibration

CONTENT_FREE = ("N/A", "[MASK]", "...")
_REMEMBERED = 4096

Row = list[float]
"""A log-probability, or what is subtracted from one, for each option of a question."""


@dataclass(frozen=True, slots=True)
class Method:
    """Which inputs the leaning is measured with (none: it is left in), and how their answers make one."""

    inputs: tuple[str, ...]
    batch: bool

    def leaning(self, rows: Sequence[Row]) -> Row:
        """What to subtract, from each input's log-probabilities of one wording's options."""
        if not self.batch:
            return [math.fsum(column) / len(rows) for column in zip(*rows, strict=True)]
        shares = [distribution(row) for row in rows]
        return [math.log(math.fsum(column) / len(rows)) for column in zip(*shares, strict=True)]


def method(wanted: Calibration | None) -> Method:
    """Raises InvalidRequest where inputs are missing or useless."""
    name = wanted.method if wanted else None
    inputs = tuple(wanted.inputs or ()) if wanted else ()
    if name == "inputs" and not inputs:
        raise InvalidRequest("'calibration.method' is \"inputs\", but there are none.", param="calibration.inputs", code="invalid_value")
    if inputs and name not in (None, "inputs"):
        raise InvalidRequest(f"'calibration.inputs' has no use with \"{name}\".", param="calibration.inputs", code="invalid_value")
    if inputs:
        return Method(inputs, batch=True)
    return Method((), batch=False) if name == "none" else Method(CONTENT_FREE, batch=False)


class Known:
    """The leanings found lately, by model, wording and method. Holds numbers and digests, no text."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Row] = OrderedDict()

    def get(self, key: bytes) -> Row | None:
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def put(self, key: bytes, leaning: Row) -> None:
        self._known[key] = leaning
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def key(model: str, method: Method, wording: object) -> bytes:
    """Of one leaning."""
    return blake2b(msgspec.json.encode((model, method.inputs, method.batch, wording)), digest_size=16).digest()
