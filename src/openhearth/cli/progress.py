"""Progress of downloads: bars on a terminal, a line at the beginning and the end elsewhere. Goes to stderr."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from openhearth.cli.terminal import clean, note, sized

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bars:
    """`with Bars() as bars`; a `Progress` as `openhearth.models.fetching` has it."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._shown: set[str] = set()
        self._done: dict[str, tuple[int, int | None]] = {}

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, name: str, total: int | None) -> None:
        self._done[name] = (0, total)

    # Only now is it shown: of what was here already, nothing is.
    def advance(self, name: str, done: int) -> None:
        _, total = self._done.get(name, (0, None))
        if name not in self._shown:
            self._shown.add(name)
            self._show(name, total)
        self._done[name] = (done, total)
        if self._bars is not None:
            self._bars.update(self._tasks[name], completed=done)

    def end(self, name: str) -> None:
        done, total = self._done.pop(name, (0, None))
        if done and self._bars is None:
            note(f"{clean(name)}: {sized(done)}{'' if total in (None, done) else f' of {sized(total or 0)}'}")

    def _show(self, name: str, total: int | None) -> None:
        if not sys.stderr.isatty():
            note(f"Fetching {clean(name)}{f' ({sized(total)})' if total else ''}")
            return
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        self._tasks[name] = self._bars.add_task(clean(name), total=total)


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
