"""A run of very many rows: what writing them takes in memory, and reading them in time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from load_rivals import Server

from twinserve.load.jmeter_home import JMeter

HERE = Path(__file__).parent
LOOKS = 10


@dataclass(frozen=True)
class Grown:
    """Resident memory in MiB after so many rows."""

    readings: Sequence[tuple[int, float]]

    @property
    def factor(self) -> float:
        return self.readings[-1][1] / self.readings[0][1]


@dataclass(frozen=True)
class Read:
    """A program that read the rows: wall time, and the most memory that it held."""

    seconds: float
    peak_mib: float


def memory_over(rows: int, users: int, folder: Path) -> Grown:
    """Load a null server until ``rows`` rows are in ``folder``/run, and look ten times."""
    run = folder / "run"
    with Server.started() as server:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "load_run.py"), server.url, str(users), str(rows), str(run)]
        )
        readings: list[tuple[int, float]] = []
        while process.poll() is None:
            count = server.count()
            if count >= rows * (len(readings) + 1) / LOOKS:
                readings.append((count, psutil.Process(process.pid).memory_info().rss / 2**20))
            time.sleep(0.05)
    if process.returncode or not readings:
        raise RuntimeError(f"the load ended with {process.returncode}")
    return Grown(readings)


def twinserve_reads(run: Path) -> Read:
    """Statistics, gates, verdict, figures and page of the run."""
    return _read([sys.executable, "-m", "twinserve", "report", str(run)])


def jmeter_reads(jmeter: JMeter, run: Path, folder: Path) -> Read:
    """JMeter's own dashboard from the same samples.csv."""
    page = folder / "dashboard"
    return _read(
        [
            *(*jmeter.command, "-g", str(run / "samples.csv"), "-o", str(page)),
            *("-j", str(folder / "dashboard.log")),
        ]
    )


def _read(command: Sequence[str]) -> Read:
    begun_s = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{command[:4]} ended with {os.waitstatus_to_exitcode(status)}")
    return Read(time.perf_counter() - begun_s, usage.ru_maxrss / 1024)
