"""CPU and memory of every instance, once a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

from twinserve.records.resources import ResourceRow, ResourceWriter

EVERY_S = 1.0
LEAST_S = 0.5  # CPU time comes in steps of 10 ms: shorter readings would be wild
MIB = 1024 * 1024


@dataclass(frozen=True)
class Target:
    """An instance to read: its leading process, since when it runs (monotonic clock), and the
    requests it has now."""

    side: str
    instance: str
    pid: int
    started_s: float
    busy_requests: int


@dataclass(frozen=True)
class Usage:
    """What the processes of one instance have used by ``at_s``.

    ``cpu_s`` is CPU time by (process id, time of creation): a process id used again is another.
    """

    at_s: float
    cpu_s: Mapping[tuple[int, float], float]
    memory_mib: float


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

    def __init__(self, writer: ResourceWriter, targets: Callable[[], list[Target]]) -> None:
        self._writer = writer
        self._targets = targets
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
    memory = 0
    for process in processes:
        try:
            times = process.cpu_times()
            memory += _memory_bytes(process)
        except psutil.Error:
            continue
        cpu_s[(process.pid, process.create_time())] = times.user + times.system
    return Usage(time.monotonic(), cpu_s, memory / MIB) if cpu_s else None


def _read_all(targets: list[Target]) -> dict[str, Usage]:
    readings = {target.instance: read_usage(target.pid) for target in targets}
    return {instance: usage for instance, usage in readings.items() if usage is not None}


def _row(target: Target, before: Usage, now: Usage) -> ResourceRow:
    return ResourceRow(
        at_ms=round((time.time() - (time.monotonic() - now.at_s)) * 1000, 3),
        side=target.side,
        instance=target.instance,
        cpu_percent=round(cpu_percent(before, now), 2),
        memory_mib=round(now.memory_mib, 2),
        busy_requests=target.busy_requests,
    )


def _memory_bytes(process: psutil.Process) -> int:
    """Proportional set size where the system tells it, else resident set size."""
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    return int(getattr(full, "pss", 0) or full.rss)
