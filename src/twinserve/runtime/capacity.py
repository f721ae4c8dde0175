"""What this machine carries: its cores and memory, and how many instances fit beside the load."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import psutil

from twinserve.deployment import Deployment

CGROUP_ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
RESERVED_CORES = 1
RESERVED_MIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True)
class Capacity:
    """What may be used here: whole cores and MiB, after affinity and cgroup limits."""

    cores: int
    memory_mib: int


@dataclass(frozen=True)
class Cap:
    """How many instances of a deployment this machine carries, and the sentence that says why."""

    instances: int
    sentence: str


def host_capacity() -> Capacity:
    """The cores and memory that this process may use: the smallest of what hardware, CPU affinity
    and the cgroups (version 1 or 2) above it allow."""
    quota = _least(_cpu_quotas(), default=float("inf"))
    limit = _least(_memory_limits_mib(), default=float("inf"))
    return Capacity(
        cores=max(1, floor(min(len(usable_cpus()), quota))),
        memory_mib=floor(min(psutil.virtual_memory().total / MIB, limit)),
    )


def usable_cpus() -> tuple[int, ...]:
    """The numbers of the CPUs that this process may run on, lowest first."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def instance_cap(capacity: Capacity, deployment: Deployment) -> Cap:
    """How many instances fit beside the load generator and the gateways, at least 1.

    One core (where there are two or more) and 1 GiB are left for those. Each instance gets
    whole cores of its own, and its memory limit counts in full: the limit is not reserved, but an
    instance may come to use it. Both sides of a comparison are loaded in turn, never together, so
    each one's cap stands alone.
    """
    spare_cores = capacity.cores - (RESERVED_CORES if capacity.cores > 1 else 0)
    by_cores = spare_cores // ceil(deployment.cpu)
    by_memory = (capacity.memory_mib - RESERVED_MIB) // deployment.memory_mib
    fit = min(by_cores, by_memory)
    return Cap(max(1, fit), _sentence(capacity, deployment, fit, by_cores <= by_memory))


def _sentence(capacity: Capacity, deployment: Deployment, fit: int, cores_decide: bool) -> str:
    count = max(1, fit)
    least = f"{capacity.cores} core{'s' if capacity.cores > 1 else ''}"
    host = least if cores_decide else f"{capacity.memory_mib} MiB of memory"
    each = f"{deployment.cpu:g} CPU, {deployment.memory_mib} MiB each"
    said = (
        f"{deployment.name}: at most {count} instance{'s' if count > 1 else ''} ({each}) on this "
        f"machine, because it has {host} and some of that is left for load generator and gateways"
    )
    if fit >= 1 and capacity.cores > 1:
        return f"{said}."
    return f"{said}; even one overcommits it, so times measured here may be too long."


def _least(values: Iterator[float], default: float) -> float:
    return min(values, default=default)


def _cpu_quotas() -> Iterator[float]:
    for folder in _cgroup_folders("cpu"):
        quota, period = _two_numbers(folder / "cpu.max")
        if quota and period:
            yield quota / period
        quota, _ = _two_numbers(folder / "cpu.cfs_quota_us")
        period, _ = _two_numbers(folder / "cpu.cfs_period_us")
        if quota and period:
            yield quota / period


def _memory_limits_mib() -> Iterator[float]:
    for folder in _cgroup_folders("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit, _ = _two_numbers(folder / name)
            if limit:
                yield limit / MIB


def _cgroup_folders(controller: str) -> Iterator[Path]:
    """The folders of this process's cgroup and of every cgroup above it, both versions."""
    try:
        memberships = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = CGROUP_ROOT / controller if controllers else CGROUP_ROOT
        inner = base / path.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(base))


def _two_numbers(path: Path) -> tuple[float, float]:
    """The first two numbers of a cgroup file; 0 for what is missing, ``max`` or negative."""
    try:
        words = path.read_text().split()
    except OSError:
        return 0.0, 0.0
    numbers = [max(float(word), 0.0) if word != "max" else 0.0 for word in words]
    first, second = (*numbers, 0.0, 0.0)[:2]
    return first, second
