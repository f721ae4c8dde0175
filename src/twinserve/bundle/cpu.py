"""What this process may use of its CPUs: how many (the quota decides, never the host's core count),
and with which arithmetic."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
CPU_FACTS = Path("/proc/cpuinfo")
VARIABLE = "TWINSERVE_CPU"


def cpu_limit(cgroup: Path = CGROUP) -> float:
    """CPUs that this process may use: the smallest of its affinity, its cgroup's quota and what
    ``$TWINSERVE_CPU`` says. A quota may be larger at the start than it stays (start-up boost)."""
    limits = [float(_affinity()), float(os.environ.get(VARIABLE) or math.inf)]
    limits += [limit for limit in (_quota_v2(cgroup), _quota_v1(cgroup)) if limit]
    return min(limits)


def thread_count(cgroup: Path = CGROUP) -> int:
    """Threads for inference: one a CPU of the limit, at least one."""
    return max(1, math.floor(cpu_limit(cgroup)))


def has_fast_bf16(cpu_facts: Path = CPU_FACTS) -> bool:
    """Whether bfloat16 is faster than float32 here: Intel's with AMX, AMD's with AVX-512 BF16.

    A rule and no measurement: all instances on one machine must choose alike. Intel's AVX-512 BF16
    alone does not count: on a Xeon that had it without AMX, a matrix product ran at half the speed
    of float32.
    """
    flags, vendor = _flags(cpu_facts)
    return "amx_bf16" in flags or (vendor == "AuthenticAMD" and "avx512_bf16" in flags)


def has_int8(cpu_facts: Path = CPU_FACTS) -> bool:
    """Whether products of bytes are added up exactly here (VNNI); older CPUs saturate in between,
    and pictures would break."""
    flags, _ = _flags(cpu_facts)
    return not flags.isdisjoint({"avx512_vnni", "avx_vnni"})


def _flags(cpu_facts: Path) -> tuple[set[str], str]:
    """What an x86 CPU can do, as Linux names it, and who made it; nothing elsewhere."""
    try:
        text = cpu_facts.read_text()
    except OSError:
        return set(), ""
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    vendor = re.search(r"^vendor_id\s*:\s*(\S+)", text, re.MULTILINE)
    return set(flags[1].split()) if flags else set(), vendor[1] if vendor else ""


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
