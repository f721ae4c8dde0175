"""CPU and memory of process trees."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from twinserve.records.lines import LineFile
from twinserve.records.resources import ResourceWriter, read_resources
from twinserve.runtime.losses import Losses
from twinserve.runtime.readings import (
    ResourceRecorder,
    Target,
    Usage,
    cpu_percent,
    read_usage,
)

FULL = Path("/dev/full")
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


def test_a_disk_that_is_full_costs_readings_and_not_the_recorder(tmp_path: Path) -> None:
    said: list[str] = []
    losses = Losses(said.append)
    if not FULL.exists():
        pytest.skip("no /dev/full, which takes no byte")
    with ResourceWriter(tmp_path / "resources.csv") as writer:
        kept, writer._file = writer._file, LineFile(FULL)
        target = Target("a", "a-1", lambda: Usage(time.monotonic(), {OLD: 1.0}, 1.0), 0.0, 1)
        recorder = ResourceRecorder(writer, lambda: [target], losses)
        readings = {"a-1": Usage(10.0, {OLD: 1.0}, 1.0)}
        recorder._write([target], readings)
        recorder._write([target], {"a-1": Usage(11.0, {OLD: 2.0}, 1.0)})
        writer._file.close()
        writer._file = kept
        recorder._write([target], {"a-1": Usage(12.0, {OLD: 2.5}, 1.0)})
    assert losses.facts() == {"resources.csv": 2}
    [sentence] = said
    assert sentence.startswith("resources.csv cannot be written (No space left on device); ")
    rows = read_resources(tmp_path / "resources.csv")
    assert rows["cpu_percent"].to_list() == [50.0]


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
