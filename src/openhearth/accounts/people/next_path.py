"""Where a login leads to afterwards: a path of this server, never another's address."""

from __future__ import annotations

LONGEST = 512


def safe_next(wanted: str | None) -> str | None:
    """The path, or None for what a browser could read as another host's address."""
    if not wanted or len(wanted) > LONGEST or not wanted.isascii() or not wanted.isprintable():
        return None
    if not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or " " in wanted:
        return None
    return wanted
