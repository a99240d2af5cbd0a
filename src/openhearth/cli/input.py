"""Reading what a person types: messages over several lines, line editing, the history file. Nothing is sent from here."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HISTORY_LINES = 1000
_FENCE = '"""'


def message(read: Callable[[str], str | None]) -> str | None:
    """The next message, None at the end. `read` gets a prompt and returns a line or None.

    A line ending in a backslash goes on in the next one; from a line that begins with triple quotes to one that ends with them, all
    is one message.
    """
    line = read("> ")
    if line is None:
        return None
    line = line.rstrip("\n")
    if line.lstrip().startswith(_FENCE):
        return _fenced(line.lstrip().removeprefix(_FENCE), read)
    lines = []
    while line.endswith("\\"):
        lines.append(line[:-1])
        following = read(". ")
        if following is None:
            return "\n".join(lines)
        line = following.rstrip("\n")
    return "\n".join([*lines, line])


def admit_any_bytes() -> None:
    """Let what is no UTF-8 arrive as it is, so that it is refused as a message and does not end the program."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")


def _fenced(first: str, read: Callable[[str], str | None]) -> str:
    lines = [first]
    while not lines[-1].rstrip().endswith(_FENCE):
        following = read(". ")
        if following is None:
            return "\n".join(lines).strip("\n")
        lines.append(following.rstrip("\n"))
    lines[-1] = lines[-1].rstrip().removesuffix(_FENCE)
    return "\n".join(lines).strip("\n")


class Keyboard:
    """A terminal with line editing. Its history is kept in a file that only its owner can read."""

    def __init__(self, history: Path) -> None:
        self._history = history

    def __enter__(self) -> Keyboard:
        admit_any_bytes()
        with suppress(ImportError, OSError):
            import readline

            readline.set_history_length(HISTORY_LINES)
            readline.read_history_file(self._history)
        return self

    def __exit__(self, *_error: object) -> None:
        # A history that can't be kept is no reason to fail at the end of a conversation.
        with suppress(ImportError, OSError):
            import readline

            self._history.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._history, os.O_WRONLY | os.O_CREAT, 0o600))
            readline.write_history_file(self._history)
            self._history.chmod(0o600)

    def read(self, prompt: str) -> str | None:
        """A line without its end; None when there will be no more (Ctrl-D)."""
        try:
            return input(prompt)
        except EOFError:
            print()
            return None

    def confirm(self, question: str) -> bool:
        """Whether the answer is yes."""
        return (self.read(f"{question} [y/N] ") or "").strip().lower() in ("y", "yes")
