"""What `openhearth doctor` looks at. Every check returns findings and raises nothing: a doctor doesn't faint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, what was found, and, where it isn't well, what to do."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""
