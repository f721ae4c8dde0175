"""CPU and memory of every instance, once a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from twinserve.records.resources import ResourceRow, ResourceWriter
from twinserve.runtime.cgroup import Cgroup
from twinserve.runtime.losses import Losses

EVERY_S = 1.0
LEAST_S = 0.5  # CPU time comes in steps of 10 ms: shorter readings would be wild
MIB = 1024 * 1024
WHOLE_GROUP = (0, 0.0)


@dataclass(frozen=True)
class Quota:
    """Limits in force and how they held threads back since the instance began, by its cgroup."""

    cpu_limit: float | None = None
    memory_limit_mib: float | None = None
    nr_periods: int | None = None
    nr_throttled: int | None = None
    throttled_usec: int | None = None


NO_QUOTA = Quota()


@dataclass(frozen=True)
class Usage:
    """What the processes of one instance have used by ``at_s``.

    ``cpu_s`` is CPU time by (process id, time of creation): a process id used again is another. A
    container has one entry for all its processes.
    """

    at_s: float
    cpu_s: Mapping[tuple[int, float], float]
    memory_mib: float
    threads: int | None = None
    quota: Quota = NO_QUOTA


@dataclass(frozen=True)
class Target:
    """An instance to read: how (this blocks), since when it runs (monotonic clock), and the
    requests it has now."""

    side: str
    instance: str
    read: Callable[[], Usage | None]
    started_s: float
    busy_requests: int


def cpu_percent(before: Usage, now: Usage) -> float:
    """Percent of one core between two readings, 0 or more.

    A process that appeared since counts in full, one that went does not count: its last share is
    unknown, and leaving it out is better than a negative reading.
    """
    used_s = sum(
        max(0.0, cpu_s - before.cpu_s.get(process, 0.0)) for process, cpu_s in now.cpu_s.items()
    )
    return 100.0 * used_s / (now.at_s - before.at_s)


class ResourceRecorder:
    """Writes a row for every target each second until it is cancelled."""

    def __init__(
        self,
        writer: ResourceWriter,
        targets: Callable[[], list[Target]],
        losses: Losses | None = None,
    ) -> None:
        self._writer = writer
        self._targets = targets
        self._losses = losses or Losses()
        self._before: dict[str, Usage] = {}

    async def run(self) -> None:
        """Read every second, in a thread so that no request waits for it."""
        clock = asyncio.get_running_loop().time
        due_s = clock()
        while True:
            targets = self._targets()
            readings = await asyncio.to_thread(_read_all, targets)
            self._write(targets, readings)
            due_s = max(due_s + EVERY_S, clock())
            await asyncio.sleep(due_s - clock())

    def _write(self, targets: list[Target], readings: dict[str, Usage]) -> None:
        kept = {}
        for target in targets:
            now = readings.get(target.instance)
            unused = Usage(target.started_s, {}, 0.0)
            before = self._before.get(target.instance, unused)
            kept[target.instance] = before
            if now is not None and now.at_s - before.at_s >= LEAST_S:
                with self._losses.counted("resources.csv"):
                    self._writer.add(_row(target, before, now))
                kept[target.instance] = now
        self._before = kept


def read_usage(pid: int) -> Usage | None:
    """What a process and its descendants have used; None when it is gone."""
    try:
        leader = psutil.Process(pid)
        processes = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return None
    cpu_s: dict[tuple[int, float], float] = {}
    memory = threads = 0
    for process in processes:
        try:
            times = process.cpu_times()
            memory += _memory_bytes(process)
            threads += process.num_threads()
        except psutil.Error:
            continue
        cpu_s[(process.pid, process.create_time())] = times.user + times.system
    return Usage(time.monotonic(), cpu_s, memory / MIB, threads) if cpu_s else None


def cgroup_usage(cgroup: Cgroup) -> Usage | None:
    """What everything in a cgroup has used; None when it is gone."""
    found = cgroup.read()
    if found is None:
        return None
    limit = found.memory_limit_bytes
    return Usage(
        at_s=time.monotonic(),
        cpu_s={WHOLE_GROUP: found.cpu_s},
        memory_mib=found.memory_bytes / MIB,
        threads=found.threads,
        quota=Quota(
            cpu_limit=found.cpu_limit,
            memory_limit_mib=None if limit is None else limit / MIB,
            nr_periods=found.nr_periods,
            nr_throttled=found.nr_throttled,
            throttled_usec=found.throttled_usec,
        ),
    )


def engine_usage(stats: Mapping[str, Any], cpu_limit: float) -> Usage | None:
    """What a container has used, from the engine's own figures (Docker API, ``/stats``); None when
    it is gone. ``cpu_limit`` is what the engine was told to hold it to."""
    cpu, memory = stats.get("cpu_stats") or {}, stats.get("memory_stats") or {}
    if "usage" not in memory or "cpu_usage" not in cpu:
        return None
    held = cpu.get("throttling_data") or {}
    detail = memory.get("stats") or {}
    cache = detail.get("inactive_file", detail.get("total_inactive_file", 0))
    throttled_ns = held.get("throttled_time")
    return Usage(
        at_s=time.monotonic(),
        cpu_s={WHOLE_GROUP: cpu["cpu_usage"]["total_usage"] / 1e9},
        memory_mib=max(0, memory["usage"] - cache) / MIB,
        threads=(stats.get("pids_stats") or {}).get("current"),
        quota=Quota(
            cpu_limit=cpu_limit,
            memory_limit_mib=memory["limit"] / MIB if memory.get("limit") else None,
            nr_periods=held.get("periods"),
            nr_throttled=held.get("throttled_periods"),
            throttled_usec=None if throttled_ns is None else throttled_ns // 1000,
        ),
    )


def _read_all(targets: list[Target]) -> dict[str, Usage]:
    readings = {target.instance: target.read() for target in targets}
    return {instance: usage for instance, usage in readings.items() if usage is not None}


def _row(target: Target, before: Usage, now: Usage) -> ResourceRow:
    return ResourceRow(
        at_ms=round((time.time() - (time.monotonic() - now.at_s)) * 1000, 3),
        side=target.side,
        instance=target.instance,
        cpu_percent=round(cpu_percent(before, now), 2),
        memory_mib=round(now.memory_mib, 2),
        busy_requests=target.busy_requests,
        threads=now.threads,
        cpu_limit=now.quota.cpu_limit,
        memory_limit_mib=now.quota.memory_limit_mib,
        nr_periods=_since(before.quota.nr_periods, now.quota.nr_periods),
        nr_throttled=_since(before.quota.nr_throttled, now.quota.nr_throttled),
        throttled_usec=_since(before.quota.throttled_usec, now.quota.throttled_usec),
    )


def _since(before: int | None, now: int | None) -> int | None:
    """How far a counter went on; one that nobody read before began at 0."""
    return None if now is None else max(0, now - (before or 0))


def _memory_bytes(process: psutil.Process) -> int:
    """Proportional set size where the system tells it, else resident set size."""
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    return int(getattr(full, "pss", 0) or full.rss)
