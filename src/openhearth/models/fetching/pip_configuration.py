"""Which package indexes this machine uses: pip's own configuration, read as `pip install` reads it, without starting pip.

Only index-url, extra-index-url, no-index, cert and proxy count here. The one place besides `settings` that looks into the environment,
because `PIP_*` is pip's, not ours.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openhearth.errors import DownloadFailed

_SECTIONS = ("global", "install")
_NAME = "pip.ini" if sys.platform == "win32" else "pip.conf"
_TRUE = ("1", "true", "yes", "on", "y", "t")


@dataclass(frozen=True)
class PipConfiguration:
    """Where pip would look. URLs may hold credentials: never print them."""

    indexes: tuple[str, ...] = field(repr=False)
    cert: str | None = None
    proxy: str | None = field(default=None, repr=False)


def read(environ: Mapping[str, str] | None = None, prefix: Path | None = None) -> PipConfiguration:
    """pip's files, then its environment variables, which win. Raises DownloadFailed for a file that can't be parsed."""
    environ = os.environ if environ is None else environ
    values: dict[str, str] = {}
    for path in _files(environ, Path(sys.prefix) if prefix is None else prefix):
        values.update(_values(path))
    for name in ("index-url", "extra-index-url", "no-index", "cert", "proxy"):
        if given := environ.get("PIP_" + name.upper().replace("-", "_")):
            values[name] = given
    if values.get("no-index", "").lower() in _TRUE:
        return PipConfiguration(())
    indexes = [values.get("index-url") or _default_index(), *values.get("extra-index-url", "").split()]
    return PipConfiguration(tuple(dict.fromkeys(indexes)), values.get("cert"), values.get("proxy"))


def _default_index() -> str:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    return PYPI_SIMPLE_ENDPOINT


def _files(environ: Mapping[str, str], prefix: Path) -> Iterator[Path]:
    """In pip's order: machine, user, virtual environment, `PIP_CONFIG_FILE`; later ones win."""
    import platformdirs

    own = environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return
    yield from (Path(folder) / _NAME for folder in _site_folders())
    if sys.platform not in ("win32", "darwin"):
        yield Path("/etc") / _NAME
    home = Path.home()
    yield home / ("pip" if sys.platform == "win32" else ".pip") / _NAME
    yield platformdirs.user_config_path("pip", appauthor=False, roaming=True) / _NAME
    if sys.platform == "darwin":
        yield home / ".config" / "pip" / _NAME
    yield prefix / _NAME
    if own:
        yield Path(own)


def _site_folders() -> list[str]:
    import platformdirs

    return platformdirs.site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep)


def _values(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except (configparser.Error, UnicodeDecodeError):
        raise DownloadFailed(f"pip's configuration in {path} can't be read.") from None
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            found.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return found
