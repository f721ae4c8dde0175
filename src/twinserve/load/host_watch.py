"""Watch the machine and the load generator while it sends: a row a second into ``host.csv``."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from twinserve.load.host_counters import MIB, Counters, Process, read_counters
from twinserve.load.sender import Clock
from twinserve.records.host import HostRow, HostWriter

EVERY_S = 1.0
PROBE_S = 0.05
LEAST_S = 0.25  # of the last row; CPU time comes in steps of 10 ms
ENDS_WITHIN_S = 5.0


class HostWatch:
    """A context manager for the event loop that sends: inside it, a thread writes rows.

    ``platform_pid`` is the parent of gateways and instances, so that their CPU is not taken for
    the generator's. Twenty times a second the thread asks the loop to note the time; how late it
    does is what any answer that comes in at that moment has to wait.
    """

    def __init__(self, path: Path, clock: Clock, platform_pid: int | None = None) -> None:
        self._path = path
        self._clock = clock
        self._platform_pid = platform_pid
        self._ended = threading.Event()
        self._lags_s: list[float] = []

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._watch, name="host watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(ENDS_WITHIN_S)

    def _watch(self) -> None:
        """A full disk ends the watching, not the run: rows that are missing are noticed later."""
        with suppress(OSError), HostWriter(self._path) as writer:
            before = self._read()
            due_s = time.monotonic() + EVERY_S
            while self._probe_until(due_s):
                before = self._add(writer, before)
                due_s = max(due_s + EVERY_S, time.monotonic())
            if time.monotonic() - before.at_s >= LEAST_S:
                self._add(writer, before)

    def _add(self, writer: HostWriter, before: Counters) -> Counters:
        now = self._read()
        writer.add(row_between(before, now, self._taken_lags_s(), self._epoch_ms()))
        return now

    def _read(self) -> Counters:
        return read_counters(os.getpid(), self._platform_pid)

    def _epoch_ms(self) -> float:
        return self._clock.started_epoch_ms + self._clock.now_us() / 1000

    def _probe_until(self, due_s: float) -> bool:
        """Probe until a reading is due; False when the watching ends."""
        while (next_s := time.monotonic() + PROBE_S) < due_s:
            if self._ended.wait(PROBE_S):
                return False
            if not self._call(self._notice, next_s):
                return False
        return not self._ended.wait(max(due_s - time.monotonic(), 0))

    def _call(self, function: Callable[[float], None], due_s: float) -> bool:
        try:
            self._loop.call_soon_threadsafe(function, due_s)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _notice(self, due_s: float) -> None:
        self._lags_s.append(max(time.monotonic() - due_s, 0.0))

    def _taken_lags_s(self) -> list[float]:
        taken, self._lags_s = self._lags_s, []
        return taken


def row_between(before: Counters, now: Counters, lags_s: list[float], at_ms: float) -> HostRow:
    """What happened between two readings: pure."""
    seconds = now.at_s - before.at_s
    lags_ms = [1000 * lag_s for lag_s in lags_s]
    return HostRow(
        at_ms=round(at_ms, 1),
        period_s=round(seconds, 4),
        cores=now.cores,
        busy_percent=_percent(_since(before.busy_s, now.busy_s), seconds),
        steal_percent=_percent(_since(before.steal_s, now.steal_s), seconds),
        generator_percent=_of_processes(before.generator, now.generator, seconds),
        platform_percent=_of_processes(before.platform, now.platform, seconds),
        lag_mean_ms=round(sum(lags_ms) / len(lags_ms), 3) if lags_ms else None,
        lag_max_ms=round(max(lags_ms), 3) if lags_ms else None,
        swap_in_mib=_mib(_since(before.swap_in_bytes, now.swap_in_bytes)),
        swap_out_mib=_mib(_since(before.swap_out_bytes, now.swap_out_bytes)),
        nr_throttled=_whole(_since(before.nr_throttled, now.nr_throttled)),
        throttled_usec=_whole(_since(before.throttled_usec, now.throttled_usec)),
        pressure_percent=_percent(_seconds(before.pressure_usec, now.pressure_usec), seconds),
        heat_throttles=_whole(_since(before.heat_throttles, now.heat_throttles)),
    )


def _since(before: float | None, now: float | None) -> float | None:
    """Counters may stand still or, as steal time does on some hosts, step back a little."""
    return None if before is None or now is None else max(now - before, 0)


def _seconds(before_usec: int | None, now_usec: int | None) -> float | None:
    since = _since(before_usec, now_usec)
    return None if since is None else since / 1e6


def _percent(used_s: float | None, seconds: float) -> float | None:
    return None if used_s is None else round(100 * used_s / seconds, 2)


def _of_processes(
    before: Mapping[Process, float], now: Mapping[Process, float], seconds: float
) -> float:
    """Percent of a core; of a process that began in between everything, of one that ended
    nothing."""
    used = sum(max(cpu_s - before.get(process, 0.0), 0.0) for process, cpu_s in now.items())
    return round(100 * used / seconds, 2)


def _mib(size: float | None) -> float | None:
    return None if size is None else round(size / MIB, 3)


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)
