"""What the system has counted so far: CPU time, swapping, throttling, pressure, heat."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 1024 * 1024
PROC, SYS = Path("/proc"), Path("/sys")
IDLE = ("idle", "iowait", "steal", "guest", "guest_nice")  # guests are in user and nice already

# A process, and when it began, since numbers are used again.
Process = tuple[int, float]


@dataclass(frozen=True)
class Counters:
    """Sums since some beginning; None is what the system does not tell."""

    at_s: float  # monotonic
    cores: int
    busy_s: float | None
    steal_s: float | None
    generator: Mapping[Process, float]  # CPU seconds
    platform: Mapping[Process, float]
    swap_in_bytes: int | None
    swap_out_bytes: int | None
    nr_throttled: int | None
    throttled_usec: int | None
    pressure_usec: int | None
    heat_throttles: int | None


def read_counters(pid: int, platform_pid: int | None) -> Counters:
    """Everything now; ``pid`` is the generator, ``platform_pid`` the parent of every instance."""
    generator, platform = _trees(pid, platform_pid)
    busy_s, steal_s = _cpu_seconds(usable_cpus())
    swap_in, swap_out = _swapped()
    nr_throttled, throttled_usec = _throttled()
    return Counters(
        at_s=time.monotonic(),
        cores=len(usable_cpus()),
        busy_s=busy_s,
        steal_s=steal_s,
        generator=generator,
        platform=platform,
        swap_in_bytes=swap_in,
        swap_out_bytes=swap_out,
        nr_throttled=nr_throttled,
        throttled_usec=throttled_usec,
        pressure_usec=_pressure_usec(),
        heat_throttles=_heat_throttles(),
    )


def usable_cpus() -> tuple[int, ...]:
    """The CPUs that this process may run on: what others do on the rest is not in its way."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _trees(pid: int, platform_pid: int | None) -> tuple[dict[Process, float], dict[Process, float]]:
    """CPU seconds of the generator and what it started, and apart from them of the platform."""
    try:
        generator = psutil.Process(pid)
        everything = [generator, *generator.children(recursive=True)]
    except psutil.Error:
        return {}, {}
    platform = set(_family(platform_pid))
    used = {process: _cpu_s(process) for process in everything}
    return (
        {(p.pid, p.create_time()): s for p, s in used.items() if p.pid not in platform},
        {(p.pid, p.create_time()): s for p, s in used.items() if p.pid in platform},
    )


def _family(pid: int | None) -> Iterator[int]:
    if pid is None:
        return
    with suppress(psutil.Error):
        yield pid
        yield from (child.pid for child in psutil.Process(pid).children(recursive=True))


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _cpu_seconds(cpus: tuple[int, ...]) -> tuple[float | None, float | None]:
    """Busy and stolen seconds of these CPUs; a sandbox that shows zeros tells nothing."""
    try:
        each = psutil.cpu_times(percpu=True)
    except (OSError, psutil.Error, RuntimeError):
        return None, None
    own = [each[cpu]._asdict() for cpu in cpus if cpu < len(each)]
    busy = sum(sum(s for name, s in cpu.items() if name not in IDLE) for cpu in own)
    if not busy:
        return None, None
    if not all("steal" in cpu for cpu in own):
        return busy, None
    return busy, sum(cpu["steal"] for cpu in own)


def _swapped() -> tuple[int | None, int | None]:
    """Bytes read back from and written out to swap; on Linux as ``/proc/vmstat`` counts pages."""
    if sys.platform == "linux":
        found = dict(_pairs(PROC / "vmstat"))
        page = os.sysconf("SC_PAGE_SIZE")
        into, out = found.get("pswpin"), found.get("pswpout")
        return (None if into is None else into * page, None if out is None else out * page)
    try:
        swap = psutil.swap_memory()
    except (OSError, psutil.Error, RuntimeError):
        return None, None
    return swap.sin, swap.sout


def _throttled(proc: Path = PROC, sys_fs: Path = SYS) -> tuple[int | None, int | None]:
    """Periods in which a quota above this process was used up, and for how long; all its groups
    together, of either version. None where no group counts it, so that there is no quota."""
    count = usec = None
    for folder in _cpu_groups(proc / "self" / "cgroup", sys_fs / "fs" / "cgroup"):
        found = dict(_pairs(folder / "cpu.stat"))
        if "nr_throttled" in found:
            count = (count or 0) + found["nr_throttled"]
            usec = (usec or 0) + found.get("throttled_usec", found.get("throttled_time", 0) // 1000)
    return count, usec


def _cpu_groups(membership: Path, root: Path) -> Iterator[Path]:
    """The folder of this process's CPU group and those above it."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "cpu" if controllers else root
        inner = base / path.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(base))


def _pressure_usec() -> int | None:
    """Linux's pressure stall information: microseconds in which some process had no CPU."""
    try:
        first = (PROC / "pressure" / "cpu").read_text().splitlines()[0]
        return int(first.rpartition("total=")[2])
    except (OSError, ValueError, IndexError):
        return None


def _heat_throttles() -> int | None:
    """How often the CPUs slowed down for heat; virtual machines and macOS do not tell."""
    files = list((SYS / "devices/system/cpu").glob("cpu*/thermal_throttle/core_throttle_count"))
    try:
        return sum(int(file.read_text()) for file in files) if files else None
    except (OSError, ValueError):
        return None


def _pairs(path: Path) -> Iterator[tuple[str, int]]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return
    for words in (line.split() for line in lines):
        if len(words) == 2 and words[1].isdigit():
            yield words[0], int(words[1])
