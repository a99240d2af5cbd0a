"""Little patience, and a Progress that keeps what it is told."""

from __future__ import annotations

from openhearth.models.fetching.patience import Patience

QUICK = Patience(attempts=4, stall_s=1.0, first_wait_s=0.01, longest_wait_s=0.05)


class Watch:
    """Keeps everything that a Progress is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int | None]] = []

    def begin(self, name: str, total: int | None) -> None:
        self.told.append(("begin", name, total))

    def asking(self, place: str, wanted: str) -> None:
        self.told.append((f"asking {place}", wanted, None))

    def advance(self, name: str, done: int) -> None:
        self.told.append(("advance", name, done))

    def end(self, name: str) -> None:
        self.told.append(("end", name, None))

    @property
    def advances(self) -> list[int]:
        return [done for what, _, done in self.told if what == "advance" and done is not None]
