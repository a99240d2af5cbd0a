"""What goes to the terminal: results to stdout, everything else to stderr, colours only for people, no foreign control characters."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TextIO

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_COMMANDING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Emoji and several scripts are written with joiners; they are harmless, direction overrides are not.
_KEPT = frozenset("\n\t\u200c\u200d")


def show(text: str) -> None:
    """A result, on stdout, whole."""
    print(text, flush=True)


def show_json(value: Any) -> None:
    """A result for scripts; what would command a terminal is escaped, so nothing of it is lost."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False)
    show("".join(c if c == "\n" or clean(c) else json.dumps(c)[1:-1] for c in text) if clean(text) != text else text)


def note(text: str) -> None:
    """An explanation, on stderr, so that a pipe carries results only."""
    print(text, file=sys.stderr, flush=True)


def complain(text: str) -> None:
    """An error, on stderr."""
    # The server's words for its clients, who have no commands.
    text = text.replace("GET /v1/models lists", "`openhearth models` lists")
    note(f"{styled('openhearth:', 'red', stream=sys.stderr)} {clean(text)}")


def clean(text: str) -> str:
    """Without the characters that command a terminal (escape sequences, carriage returns, direction overrides).

    Safe on pieces of a longer text: an escape sequence loses its first byte, whatever piece the rest is in.
    """
    if text.isascii() and text.isprintable():
        return text
    from unicodedata import category

    return "".join(c for c in text if c in _KEPT or category(c) not in _COMMANDING)


def valid(text: str) -> bool:
    """Whether it can be sent: arguments and keyboards may hold bytes that are no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Printed:
    """An answer on stdout, piece by piece; `text` is what has come."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, piece: str) -> None:
        self.text += piece
        print(piece, end="", flush=True)

    def finish(self) -> None:
        """End its last line."""
        if not self.text.endswith("\n"):
            print(flush=True)


def styled(text: str, style: str, *, stream: TextIO | None = None) -> str:
    """Coloured if the stream (default: stdout) is a terminal that wants it."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return text
    from openhearth.settings import colours

    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colours() else text


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two blanks apart."""
    cells = [[clean(cell).replace("\n", " ").replace("\t", " ") for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def sized(size: float) -> str:
    """Bytes for people: `1.5 GiB`."""
    for unit in ("B", "KiB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1024
    for unit in ("MiB", "GiB"):
        if size < 1000:
            return f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def since(seconds: float) -> str:
    """A duration for people: `45 s`, `12 min`, `3 h`, `2 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def day(timestamp: int) -> str:
    """Unix seconds for people."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M UTC")
