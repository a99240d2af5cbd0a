"""What every handler of this room works with. Batches, evals and responses will call the same functions with it, not HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from openhearth.engines.pool import Pool
from openhearth.inference.metering import Meter
from openhearth.models.resolve import Models


@dataclass(frozen=True, slots=True)
class Inference:
    """The rooms below, as this one uses them: a name becomes a model, a model a leased engine, an answer a count."""

    models: Models
    pool: Pool
    meter: Meter
