"""Where the time of a cold start went: before our code, in imports, in the model, in its first run.

The operating system tells how old the process is, so that what came before the first line of ours
is counted too. Whoever starts an instance may say in ``$TWINSERVE_ASKED_MS`` (epoch) when it was
asked for; then the time until the process began is known as well.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

ASKED = "TWINSERVE_ASKED_MS"
START_TIME = 19  # place of ``starttime`` after the name in /proc/<pid>/stat, in clock ticks


class StartUp(msgspec.Struct, frozen=True):
    """Stages of one start in ms, in order; None where nobody can tell.

    ``spawn_ms``: from the wish for an instance to its process. ``runtime_ms``: interpreter, server
    and imports. ``load_ms``: the model read and compiled. ``inference_ms``: its first image, made
    and encoded.
    """

    spawn_ms: float | None = None
    runtime_ms: float | None = None
    load_ms: float | None = None
    inference_ms: float | None = None

    @property
    def timing(self) -> str:
        """The stages as entries of ``Server-Timing``."""
        stages = msgspec.structs.asdict(self)
        return ", ".join(
            f"start-{name.removesuffix('_ms')};dur={value:.3f}"
            for name, value in stages.items()
            if value is not None
        )


class StartClock:
    """Stops the stages of this process's start; make it when the imports are done."""

    def __init__(self) -> None:
        self._since = time.perf_counter()
        age_s = instance_age_s()
        self._runtime_ms = None if age_s is None else _ms(age_s)
        self._spawn_ms = _spawn_ms(age_s)
        self._load_ms = 0.0

    def loaded(self) -> None:
        """The model is read and compiled."""
        self._load_ms = self._lap_ms()

    def ran(self) -> StartUp:
        """The first image is made: all stages are known."""
        return StartUp(self._spawn_ms, self._runtime_ms, self._load_ms, self._lap_ms())

    def _lap_ms(self) -> float:
        before, self._since = self._since, time.perf_counter()
        return _ms(self._since - before)


def instance_age_s() -> float | None:
    """Seconds since the instance's first process began, to 10 ms; None where /proc does not tell.

    A server forks workers, and we may be one of those: then its own process leads our group.
    """
    leader = os.getpgid(0)
    first = leader if leader == os.getppid() else os.getpid()
    try:
        stat = Path(f"/proc/{first}/stat").read_text()
        ticks = int(stat.rpartition(")")[2].split()[START_TIME])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _spawn_ms(age_s: float | None) -> float | None:
    try:
        asked_ms = float(os.environ[ASKED])
    except (KeyError, ValueError):
        return None
    return None if age_s is None else round(max(0.0, (time.time() - age_s) * 1000 - asked_ms), 3)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
