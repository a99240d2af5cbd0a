"""Progress of downloads: who is asked, bars on a terminal, a line at the beginning and the end elsewhere. Goes to stderr."""

from __future__ import annotations

import sys
from asyncio import CancelledError
from types import TracebackType
from typing import TYPE_CHECKING

from openhearth.cli.terminal import clean, note, sized

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID


class Bars:
    """`with Bars() as bars`; a `Progress` as `openhearth.models.fetching` has it."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._shown: set[str] = set()
        self._done: dict[str, tuple[int, int | None]] = {}
        self._asked: set[str] = set()

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()
        if kind is not None and issubclass(kind, KeyboardInterrupt | CancelledError):
            note("Stopped. What has arrived is kept: the same command goes on from there.")

    def begin(self, name: str, total: int | None) -> None:
        self._done[name] = (0, total)

    # Each place once: it is its first answer that may be long in coming.
    def asking(self, place: str, wanted: str) -> None:
        if place not in self._asked:
            self._asked.add(place)
            note(f"Asking {clean(place)} for {clean(wanted)}")

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


def amount(done: float, total: float | None) -> str:
    """`12.0 of 93.8 MiB`, in the units of every other size here."""
    if total is None:
        return sized(done)
    shown, whole = sized(done).split(" "), sized(total).split(" ")
    return f"{shown[0] if shown[1] == whole[1] else ' '.join(shown)} of {' '.join(whole)}"


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    amounts, speeds = _columns()
    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    return Progress(name, BarColumn(20), amounts, speeds, TimeRemainingColumn(), console=Console(stderr=True))


def _columns() -> tuple[ProgressColumn, ProgressColumn]:
    """Rich's own count in thousands where ours count in 1024s."""
    from rich.progress import ProgressColumn, Task
    from rich.table import Column
    from rich.text import Text

    class Amount(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(amount(task.completed, task.total), style="progress.download")

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{sized(speed)}/s" if speed else "", style="progress.data.speed")

    return Amount(Column(no_wrap=True)), Speed(Column(no_wrap=True))
