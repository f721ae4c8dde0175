"""A load generator whose control group really has too little CPU; it takes the right to make
groups."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinserve.records.host import read_host

ROOT = Path("/sys/fs/cgroup")
SHARE = 0.03  # of one CPU
BUSY = """
import asyncio, os, sys
from pathlib import Path
from twinserve.load.host_watch import HostWatch
from twinserve.load.sender import Clock
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))

async def busy():
    path = Path(sys.argv[2])
    with HostWatch(path, Clock.start()):
        while not path.exists() or path.read_bytes().count(b"\\n") < 4:
            sum(range(10_000))
            await asyncio.sleep(0)

asyncio.run(busy())
"""


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group, of either version, with a quota."""
    first = (ROOT / "cpu" / "cpu.cfs_quota_us").exists() or (ROOT / "cpu" / "cpu.shares").exists()
    group = (ROOT / "cpu" if first else ROOT) / f"twinserve-test-{os.getpid()}"
    quota = round(100_000 * SHARE)
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        if first:
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} 100000")
        yield group
    except OSError as error:
        pytest.skip(f"no quota can be set here: {error}")
    finally:
        group.rmdir()


def test_a_generator_that_its_quota_holds_back_says_so(small_group: Path, tmp_path: Path) -> None:
    path = tmp_path / "host.csv"
    words = [sys.executable, "-c", BUSY, str(small_group), str(path)]
    subprocess.run(words, check=True, timeout=120)
    rows = read_host(path)
    assert rows["nr_throttled"].sum() >= 3
    assert rows["throttled_usec"].sum() > 100_000
    assert rows["lag_max_ms"].max() > 20
