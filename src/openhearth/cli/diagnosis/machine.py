"""The machine: processor, memory, disk, GPU, each within the limits that a container sets."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from openhearth.cli.diagnosis import Finding
from openhearth.cli.terminal import clean, sized

GIB = 2**30
ENOUGH_MEMORY = 1 * GIB
LEAST_MEMORY = GIB // 4
ENOUGH_DISK = 2 * GIB
LEAST_DISK = GIB // 4
CHILD_TIMEOUT_S = 60.0

# In a process of its own: native code that doesn't suit this processor ends it without an exception.
_DEVICES = """
import json, xllamacpp
print(json.dumps([{"name": d["name"], "description": d["description"], "memory": d["memory_total"], "type": str(d["type"])}
                  for d in xllamacpp.get_device_info()]))
"""


def cpu(root: Path = Path("/")) -> Finding:
    """Model, cores that this process may use, vector instructions."""
    model, flags = _processor(root)
    cores, quota = usable_cores(), cpu_quota(root)
    vectors = [name for name, flag in (("AVX2", "avx2"), ("AVX-512", "avx512f")) if flag in flags]
    found = ", ".join(
        [model or platform.machine(), f"{cores} core{'s' if cores > 1 else ''}"]
        + ([f"limited to {quota:g} by the container"] if quota is not None and quota < cores else [])
        + (vectors or ["no AVX2"] if platform.machine().lower() in ("x86_64", "amd64") else [])
    )
    if platform.machine().lower() in ("x86_64", "amd64") and flags and "avx2" not in flags:
        return Finding(
            "cpu", "warn", found, "Without AVX2 the embedded engine is several times slower; consider an upstream engine elsewhere."
        )
    if min(cores, quota or cores) < 2:
        return Finding(
            "cpu", "warn", found, "With a single core, answering requests and generating text take turns; two or more are better."
        )
    return Finding("cpu", "ok", found)


def memory(root: Path = Path("/")) -> Finding:
    """What is free for models, under the container's limit if there is one."""
    total, available, limited = usable_memory(root)
    found = f"{sized(available)} available of {sized(total)}" + (" (the container's limit)" if limited else "")
    if available < LEAST_MEMORY:
        return Finding(
            "memory", "fail", found, "Not enough for the smallest model (about 250 MiB). Stop other programs or raise the limit."
        )
    if available < ENOUGH_MEMORY:
        return Finding("memory", "warn", found, "Enough for the smallest models only.")
    return Finding("memory", "ok", found)


def disk(data_dir: Path) -> Finding:
    """Room for models where the data folder is, or would be made."""
    place = data_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding("disk", "fail", f"{data_dir}: {error.strerror}", "Choose another data folder with --data-dir.")
    found = f"{sized(free)} free for {data_dir}"
    advice = "Make room, remove models with `openhearth rm`, or choose another data folder with --data-dir."
    state = "fail" if free < LEAST_DISK else "warn" if free < ENOUGH_DISK else "ok"
    return Finding("disk", state, found, "" if state == "ok" else advice)  # type: ignore[arg-type]


def engine_and_gpu() -> list[Finding]:
    """Whether the embedded engine's library loads here, the devices it sees, and GPUs that it doesn't see."""
    code, output, complaint = _child([sys.executable, "-c", _DEVICES])
    cards = _nvidia_cards()
    if code != 0:
        cause = f"signal {-code}" if code < 0 else complaint
        return [
            Finding("engine", "fail", f"The embedded engine does not load: {cause}", "Reinstall openhearth, or use an upstream engine."),
            *([Finding("gpu", "ok", ", ".join(cards))] if cards else []),
        ]
    devices = [device for device in json.loads(output) if "GPU" in device["type"]]
    loaded = Finding("engine", "ok", "The embedded engine (llama.cpp) loads")
    if devices:
        return [loaded, Finding("gpu", "ok", ", ".join(f"{clean(d['description'])}, {sized(d['memory'])}" for d in devices))]
    if cards:
        advice = "The installed engine is built for CPUs. Install a GPU build of xllamacpp, or serve GPU models with vLLM as an upstream."
        return [loaded, Finding("gpu", "warn", ", ".join(cards), advice)]
    return [loaded, Finding("gpu", "ok", "none; models run on the CPU")]


def usable_cores() -> int:
    """Cores that the scheduler gives this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The container's limit in cores."""
    quotas = []
    for text in _cgroup_values(root, "cpu.max"):
        limit, _, period = text.partition(" ")
        if limit.isdecimal() and period.isdecimal() and int(period):
            quotas.append(int(limit) / int(period))
    return min(quotas, default=None)


def usable_memory(root: Path = Path("/")) -> tuple[int, int, bool]:
    """Bytes in total and available, and whether a container's limit is what counts."""
    import psutil

    machine = psutil.virtual_memory()
    limits = [int(text) for text in _cgroup_values(root, "memory.max", "memory.limit_in_bytes") if text.isdecimal()]
    limit = min(limits, default=machine.total)
    if limit >= machine.total:
        return machine.total, machine.available, False
    used = next((int(text) for text in _cgroup_values(root, "memory.current", "memory.usage_in_bytes") if text.isdecimal()), 0)
    return limit, max(0, min(machine.available, limit - used)), True


def _cgroup_values(root: Path, *names: str) -> Iterator[str]:
    """A limit as set at each level above this process, nearest first (cgroup v2; v1's memory controller at its root)."""
    group = Path()
    with suppress(OSError, UnicodeDecodeError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                group = Path(line[4:])
    base = root / "sys/fs/cgroup"
    levels = [base / group, *(base / parent for parent in group.parents)]
    for folder in (*levels, base / "memory"):
        for name in names:
            with suppress(OSError, UnicodeDecodeError):
                yield (folder / name).read_text().strip()


def _processor(root: Path) -> tuple[str, frozenset[str]]:
    model, flags = "", frozenset[str]()
    with suppress(OSError, UnicodeDecodeError):
        for line in (root / "proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                model = value.strip()
            elif name.strip() == "flags":
                flags = frozenset(value.split())
                break
    if not model and sys.platform == "darwin":
        _code, output, _complaint = _child(["sysctl", "-n", "machdep.cpu.brand_string"])
        model = output.strip()
    return clean(model), flags


def _nvidia_cards() -> list[str]:
    code, output, _complaint = _child(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    return [clean(line.strip()) for line in output.splitlines() if line.strip()] if code == 0 else []


def _child(command: list[str]) -> tuple[int, str, str]:
    """Exit code, output, and the last line of its complaints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=CHILD_TIMEOUT_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, "", type(error).__name__
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return done.returncode, done.stdout, clean(last)
