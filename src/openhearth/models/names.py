"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'a' or 'b'?`, or nothing where nothing is near. Spelling decides, capitals don't."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), by_lower, 3, 0.6)
    found += [each for each in by_lower if each.partition(":")[0] == name.lower() and each not in found]
    return f" Did you mean {' or '.join(repr(by_lower[each]) for each in found[:3])}?" if found else ""
