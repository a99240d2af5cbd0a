"""The installation: Python, the packages that openhearth needs, the optional extras."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

from openhearth import __version__
from openhearth.cli.diagnosis import Finding

# Tools for those who work on openhearth, no part of what it can do.
_NOT_SHOWN = frozenset({"dev"})


def findings(package: str = "openhearth") -> list[Finding]:
    """Python, the packages, one line for each extra."""
    python = Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")
    try:
        declared = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return [
            python,
            Finding("packages", "fail", f"openhearth {__version__}, not installed as a package", "Run `pip install .` in its folder."),
        ]
    extras = [extra for extra in declared.get_all("Provides-Extra") or [] if extra not in _NOT_SHOWN]
    return [python, _required(package), *(_extra(package, extra) for extra in extras)]


def _required(package: str) -> Finding:
    wrong = _unmet(package, None)
    if wrong:
        return Finding("packages", "fail", "; ".join(wrong), "Run `pip install --upgrade openhearth`.")
    shown = ", ".join(f"{name} {metadata.version(name)}" for name in ("xllamacpp", "onnxruntime", "granian"))
    return Finding("packages", "ok", f"openhearth {__version__}, {shown}, and the others as required")


def _extra(package: str, extra: str) -> Finding:
    wrong = _unmet(package, extra)
    found = f"not installed (`pip install 'openhearth[{extra}]'`)" if wrong else "installed"
    return Finding(f"extra {extra}", "ok", found)


def _unmet(package: str, extra: str | None) -> list[str]:
    """Requirements that the environment does not meet: of the extra alone, or those without one."""
    from packaging.requirements import Requirement

    wrong = []
    for text in metadata.requires(package) or []:
        requirement = Requirement(text)
        plain = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if plain is not (extra is None) or (extra and not requirement.marker.evaluate({"extra": extra})):  # type: ignore[union-attr]
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    return wrong
