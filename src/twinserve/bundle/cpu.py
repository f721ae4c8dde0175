"""How many CPUs this process may use: the quota decides, never the host's core count."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpu_limit(cgroup: Path = CGROUP) -> float:
    """CPUs that this process may use: the smaller of its affinity and its cgroup's quota."""
    limits = [float(_affinity())]
    limits += [limit for limit in (_quota_v2(cgroup), _quota_v1(cgroup)) if limit]
    return min(limits)


def thread_count(cgroup: Path = CGROUP) -> int:
    """Threads for inference: one a CPU of the limit, at least one."""
    return max(1, math.floor(cpu_limit(cgroup)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota_v2(cgroup: Path) -> float | None:
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(cgroup: Path) -> float | None:
    try:
        quota = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        period = int((cgroup / "cpu/cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    except (OSError, ValueError):
        return None
