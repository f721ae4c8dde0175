"""A row a second while the loop runs: real processes, a loop that is really held up."""

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl

from twinserve.load.host_counters import Counters
from twinserve.load.host_watch import HostWatch, row_between
from twinserve.load.sender import Clock
from twinserve.records.host import read_host

BEFORE = Counters(
    at_s=100.0,
    cores=2,
    busy_s=50.0,
    steal_s=1.0,
    generator={(1, 0.5): 10.0, (2, 0.5): 3.0},
    platform={(3, 0.5): 20.0},
    swap_in_bytes=0,
    swap_out_bytes=1024 * 1024,
    nr_throttled=5,
    throttled_usec=1000,
    pressure_usec=2_000_000,
    heat_throttles=None,
)


def test_a_row_is_what_happened_between_two_readings() -> None:
    now = replace(
        BEFORE,
        at_s=102.0,
        busy_s=53.0,
        steal_s=1.1,
        generator={(1, 0.5): 10.4},  # process 2 has ended
        platform={(3, 0.5): 21.0, (4, 101.0): 0.6},  # process 4 is new
        swap_out_bytes=3 * 1024 * 1024,
        nr_throttled=6,
        throttled_usec=1500,
        pressure_usec=2_500_000,
    )
    row = row_between(BEFORE, now, [0.001, 0.004], at_ms=7.0)
    assert (row.busy_percent, row.steal_percent) == (150.0, 5.0)
    assert (row.generator_percent, row.platform_percent) == (20.0, 80.0)
    assert (row.lag_mean_ms, row.lag_max_ms) == (2.5, 4.0)
    assert (row.swap_in_mib, row.swap_out_mib) == (0.0, 2.0)
    assert (row.nr_throttled, row.throttled_usec) == (1, 500)
    assert row.pressure_percent == 25.0
    assert row.heat_throttles is None


def test_a_number_that_is_used_again_is_another_process() -> None:
    now = replace(BEFORE, at_s=101.0, generator={(1, 99.0): 0.25, (2, 0.5): 3.0})
    assert row_between(BEFORE, now, [], 0.0).generator_percent == 25.0


def test_counters_that_step_back_count_nothing_and_no_probe_means_no_lag() -> None:
    now = replace(BEFORE, at_s=101.0, steal_s=0.9, busy_s=None)
    row = row_between(BEFORE, now, [], 0.0)
    assert (row.steal_percent, row.busy_percent, row.lag_mean_ms) == (0.0, None, None)


async def until_rows(path: Path, rows: int, within_s: float = 60) -> pl.DataFrame:
    end_s = time.monotonic() + within_s
    while not path.exists() or path.read_bytes().count(b"\n") <= rows:
        assert time.monotonic() < end_s
        await asyncio.sleep(0.05)
    return read_host(path)


def test_a_row_a_second_is_written_and_nothing_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "host.csv"

    async def watched() -> tuple[Clock, pl.DataFrame]:
        clock = Clock.start()
        with HostWatch(path, clock):
            return clock, await until_rows(path, 2)

    clock, rows = asyncio.run(watched())
    ended = path.read_bytes()
    assert rows["period_s"].min() >= 0.5
    assert rows["at_ms"].is_sorted()
    assert clock.started_epoch_ms < rows["at_ms"][0] <= time.time() * 1000 + 1000
    assert rows["lag_mean_ms"].null_count() == 0
    time.sleep(1.2)
    assert path.read_bytes() == ended


def test_a_loop_that_is_held_up_shows_as_lag(tmp_path: Path) -> None:
    path = tmp_path / "host.csv"

    async def busy() -> pl.DataFrame:
        with HostWatch(path, Clock.start()):
            end_s = time.monotonic() + 60
            while not path.exists() or path.read_bytes().count(b"\n") < 2:
                assert time.monotonic() < end_s
                time.sleep(0.3)  # what no coroutine may do
                await asyncio.sleep(0)
            return read_host(path)

    row = asyncio.run(busy()).row(0, named=True)
    assert row["lag_max_ms"] >= 200
    assert row["lag_mean_ms"] >= 50


def test_a_process_beside_ours_counts_as_busy_and_not_as_ours(tmp_path: Path) -> None:
    """Its parent has ended, so that it is no child of ours any more."""
    path, number = tmp_path / "host.csv", tmp_path / "pid"
    code = (
        "import subprocess, sys\n"
        "burn = subprocess.Popen([sys.executable, '-c', 'while True: pass'])\n"
        f"open({str(number)!r}, 'w').write(str(burn.pid))\n"
    )

    async def beside() -> pl.DataFrame:
        with HostWatch(path, Clock.start()):
            return await until_rows(path, 3)

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    try:
        row = asyncio.run(beside()).row(2, named=True)
    finally:
        os.kill(int(number.read_text()), 9)
    used = row["busy_percent"] - row["generator_percent"] - row["platform_percent"]
    assert used >= 30
    assert row["platform_percent"] == 0


def test_a_file_that_cannot_be_written_ends_the_watching_and_not_the_run(tmp_path: Path) -> None:
    async def watched() -> str:
        with HostWatch(tmp_path / "missing" / "host.csv", Clock.start()):
            await asyncio.sleep(0.3)
            return "went on"

    assert asyncio.run(watched()) == "went on"
