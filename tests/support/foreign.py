"""Virtual environments for foreign clients that can't live beside ours, made once and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
PROGRAM_TIMEOUT_S = 200.0


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The Python of an environment with `requirements`. Built by pip at the first use; other processes wait for it."""
    cache = Path(os.environ.get("OPENHEARTH_TEST_CACHE") or Path.home() / ".cache" / "openhearth-tests")
    cache.mkdir(parents=True, exist_ok=True)
    wanted = "\n".join([sys.version, *requirements, CONSTRAINTS.read_text()])
    folder = cache / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            _build(folder, python, requirements)
    return python


def _build(folder: Path, python: Path, requirements: Sequence[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(CONSTRAINTS), *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"pip could not install {' '.join(requirements)}:\n{done.stderr[-3000:]}"
    (folder / "complete").touch()


def run(python: Path, *arguments: str, environ: Mapping[str, str], timeout_s: float = PROGRAM_TIMEOUT_S) -> str:
    """What a program printed; fails with its last words."""
    done = subprocess.run(
        [str(python), *arguments],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
