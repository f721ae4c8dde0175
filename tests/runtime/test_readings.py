"""CPU and memory of process trees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from twinserve.runtime.readings import Usage, cpu_percent, read_usage

OLD, NEW, REUSED = (1, 10.0), (2, 20.0), (1, 30.0)


@pytest.mark.parametrize(
    ("before", "now", "percent"),
    [
        ({OLD: 1.0}, {OLD: 2.0}, 50.0),
        ({OLD: 1.0}, {OLD: 2.0, NEW: 3.0}, 200.0),  # a new child counts in full
        ({OLD: 1.0, NEW: 9.0}, {OLD: 1.5}, 25.0),  # a child that went takes nothing away
        ({OLD: 9.0}, {REUSED: 0.5}, 25.0),  # its number used again is another process
        ({OLD: 2.0}, {OLD: 1.9}, 0.0),  # a clock that steps back
        ({}, {OLD: 0.5}, 25.0),  # the first reading counts from the start
    ],
)
def test_cpu_is_never_negative_when_children_come_and_go(
    before: Mapping[tuple[int, float], float],
    now: Mapping[tuple[int, float], float],
    percent: float,
) -> None:
    assert cpu_percent(Usage(0.0, before, 1.0), Usage(2.0, now, 1.0)) == pytest.approx(percent)


def test_a_reading_covers_the_process_and_its_children() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        usage = read_usage(os.getpid())
        assert usage is not None
        assert {os.getpid(), child.pid} <= {pid for pid, _ in usage.cpu_s}
        assert usage.memory_mib > 5
    finally:
        child.communicate(b"\n")


def test_a_process_that_is_gone_has_no_reading() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert read_usage(child.pid) is None
