"""What this machine offers: cores, memory. The numbers that settings leave open are chosen here."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from openhearth.engines.llama import Defaults
from openhearth.settings import EngineSettings

BUDGET_SHARE = 0.8
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
CGROUP_USED = Path("/sys/fs/cgroup/memory.current")
DEFAULT_SLOTS = 4
DEFAULT_CONTEXT = 4096


def cores() -> int:
    """Physical cores that this process may use, at least 1."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or usable
    return max(1, min(usable, physical))


def available_bytes() -> int:
    """Memory that can be had now, within the container's limit if there is one."""
    available = int(psutil.virtual_memory().available)
    try:
        limit, used = CGROUP_LIMIT.read_text().strip(), CGROUP_USED.read_text().strip()
    except OSError:
        return available
    return min(available, max(0, int(limit) - int(used))) if limit.isdigit() and used.isdigit() else available


def memory_budget(settings: EngineSettings) -> int:
    """Bytes for all engines together: as set, or 80% of what can be had now."""
    if settings.memory_budget_mb is not None:
        return settings.memory_budget_mb * 2**20
    return int(available_bytes() * BUDGET_SHARE)


def engine_defaults(settings: EngineSettings) -> Defaults:
    """Slots, threads and context for an engine whose model says nothing else. One core is left for the API."""
    return Defaults(
        slots=settings.slots or DEFAULT_SLOTS,
        threads=settings.threads or max(1, cores() - 1),
        context=settings.context or DEFAULT_CONTEXT,
        **({"gpu_layers": settings.gpu_layers} if settings.gpu_layers is not None else {}),
    )
