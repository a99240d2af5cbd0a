"""What is wrong with settings, told by where it was said: the flag, the variable, or the file and its line's name. Reads nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openhearth.wording import in_words

_PLACE = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)
_KEY = re.compile(r" - at `key` in `\$\.?(.*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_FLAGS = {"default_model": "--model"}
_KUBERNETES = re.compile(r"SERVICE_(HOST|PORT)(_.*)?|PORT_\d+_(TCP|UDP)(_.*)?")
"""What Kubernetes sets for a service that is called `openhearth`."""


@dataclass(frozen=True)
class Origins:
    """Where values came from: names that flags and variables gave, and the file with the rest."""

    flags: Iterable[str]
    variables: Iterable[str]
    prefix: str
    file: Path | None

    def explained(self, error: str, known: Mapping[str, Iterable[str]]) -> str:
        """msgspec's words -> ours. `known`: the names at the top (key ``) and inside of tables, for suggestions."""
        if found := _KEY.search(error):
            return f"{self._where(found[1])} holds a name that {in_words(_KEY.sub('', error))}."
        place = found[1] if (found := _PLACE.search(error)) else ""
        reason = _PLACE.sub("", error)
        if unknown := _UNKNOWN.fullmatch(reason):
            table = re.match(r"\w*", place)
            near = suggestion(unknown[1], known.get(table[0] if table else "", ()))
            return f"{self.file or 'Settings'}: there is no setting '{'.'.join(filter(None, (place, unknown[1])))}'.{near}"
        if missing := _MISSING.fullmatch(reason):
            return f"{self.file or 'Settings'}: '{'.'.join(filter(None, (place, missing[1])))}' is missing."
        return f"{self._where(place)} {in_words(reason)}."

    def _where(self, place: str) -> str:
        name = re.split(r"[.\[]", place, maxsplit=1)[0]
        if name in self.flags:
            return _FLAGS.get(name, "--" + name.replace("_", "-"))
        if name in self.variables:
            return self.prefix + name.upper()
        return f"{self.file or 'Settings'}: '{place}'"


def unknown_variable(
    environ: Mapping[str, Any], prefix: str, read: Iterable[str], in_file: Iterable[str], left: Iterable[str]
) -> str | None:
    """What to say of the first variable that begins like ours and is read by nobody.

    `read`: settings that variables give; `in_file`: those that only the file does; `left`: whole names that are somebody's.
    """
    known = {prefix + name.upper() for name in read} | set(left)
    for variable in sorted(environ):
        name = variable.removeprefix(prefix)
        if not environ[variable] or name == variable or variable in known or name.startswith("TEST_") or _KUBERNETES.fullmatch(name):
            continue
        if name.lower() in in_file:
            return f"{variable} is not read: '{name.lower()}' is set in openhearth.toml only."
        return f"{variable} is set, but there is no such setting.{suggestion(variable, known)}"
    return None


def suggestion(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'port'?`, or nothing."""
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f" Did you mean '{near[0]}'?" if near else ""
