"""Names that clients use for models that are not here: OpenAI's own, and what the owner adds. Resolves one name to another, no further."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

from openhearth.errors import SetupError

log = logging.getLogger(__name__)

OWN_FILE = "aliases.toml"
DEFAULT, EMBEDDING = "{default_model}", "{embedding_model}"


class Aliases:
    """The owner's file goes over the settings, those over the shipped table. Exact names go over patterns (`gpt-*`)."""

    def __init__(self, data_dir: Path, own: Mapping[str, str], *, default_model: str, embedding_model: str) -> None:
        self._file = data_dir / OWN_FILE
        self._own = dict(own)
        self._targets = {DEFAULT: default_model, EMBEDDING: embedding_model}
        text = resources.files("openhearth.models").joinpath(OWN_FILE).read_text("utf-8")
        self._shipped: dict[str, str] = {name: target for target, names in tomllib.loads(text).items() for name in names}
        self._read: tuple[int, dict[str, str]] = (-1, {})
        self._file_table()

    def target(self, name: str) -> str | None:
        """What `name` stands for; None if it is no alias."""
        own = self.own()
        found = own.get(name) or self._shipped.get(name)
        if found is None:
            found = next((target for pattern, target in own.items() if "*" in pattern and fnmatchcase(name, pattern)), None)
        return self._targets.get(found, found) if found else None

    def own(self) -> dict[str, str]:
        """The owner's alone, patterns too, each with what it stands for."""
        return {**self._own, **self._file_table()}

    def names(self) -> list[str]:
        """All exact names, the owner's first."""
        own = self.own()
        return [*(name for name in own if "*" not in name), *(name for name in self._shipped if name not in own)]

    def targets(self) -> set[str]:
        """All models that some alias means."""
        return {*self._own.values(), *self._file_table().values(), *self._targets.values()}

    def _file_table(self) -> dict[str, str]:
        try:
            changed = self._file.stat().st_mtime_ns
        except OSError:
            return {}
        if changed != self._read[0]:
            try:
                self._read = (changed, _table(self._file))
            except SetupError as error:
                if self._read[0] < 0:
                    raise
                # A server that runs goes on with what it knew.
                log.error("%s; the aliases stay as they were", error.message)
                self._read = (changed, self._read[1])
        return self._read[1]


def _table(path: Path) -> dict[str, str]:
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: {error}", exit_status=78) from None
    if wrong := [name for name, target in values.items() if not isinstance(target, str)]:
        raise SetupError(f"{path}: '{wrong[0]}' must stand for a model's name in quotes.", exit_status=78)
    return values
