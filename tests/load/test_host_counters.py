"""What the system tells of itself, and of processes that really use its CPU."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twinserve.load.host_counters import Counters, _throttled, read_counters

BURN = "while True: pass"
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells this")


@pytest.fixture
def burning() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", BURN])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(
    reads: Callable[[], Counters], enough: Callable[[Counters], bool], within_s: float = 60
) -> Counters:
    end_s = time.monotonic() + within_s
    while not enough(found := reads()):
        assert time.monotonic() < end_s, found
        time.sleep(0.05)
    return found


def test_the_cpu_of_a_child_counts_for_the_generator(burning: subprocess.Popen[bytes]) -> None:
    found = until(
        lambda: read_counters(os.getpid(), None),
        lambda counters: any(
            pid == burning.pid and used >= 0.3 for (pid, _), used in counters.generator.items()
        ),
    )
    assert not found.platform


def test_the_cpu_of_the_platform_counts_apart(burning: subprocess.Popen[bytes]) -> None:
    found = until(
        lambda: read_counters(os.getpid(), burning.pid),
        lambda counters: sum(counters.platform.values()) >= 0.3,
    )
    assert burning.pid not in {pid for pid, _ in found.generator}
    assert os.getpid() in {pid for pid, _ in found.generator}


def test_everything_busy_grows_with_what_one_process_uses(
    burning: subprocess.Popen[bytes],
) -> None:
    before = read_counters(os.getpid(), burning.pid)
    after = until(
        lambda: read_counters(os.getpid(), burning.pid),
        lambda counters: sum(counters.platform.values()) >= sum(before.platform.values()) + 0.3,
    )
    assert before.busy_s is not None
    assert after.busy_s is not None
    assert after.busy_s - before.busy_s >= 0.25


def test_a_process_that_is_gone_tells_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    found = read_counters(child.pid, child.pid)
    assert not found.generator
    assert not found.platform


@linux
def test_linux_tells_swapping_and_steal() -> None:
    found = read_counters(os.getpid(), None)
    assert found.steal_s is not None
    assert found.swap_in_bytes is not None
    assert found.swap_out_bytes is not None
    assert found.cores == len(os.sched_getaffinity(0))


def group(root: Path, path: str, text: str) -> None:
    folder = root / "fs" / "cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.stat").write_text(text)


def member(proc: Path, text: str) -> None:
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(text)


def test_throttling_of_every_group_above_counts(tmp_path: Path) -> None:
    proc, system = tmp_path / "proc", tmp_path / "sys"
    member(proc, "0::/user.slice/job\n")
    group(system, "user.slice/job", "usage_usec 9\nnr_throttled 2\nthrottled_usec 3000\n")
    group(system, "user.slice", "usage_usec 9\nnr_throttled 1\nthrottled_usec 500\n")
    group(system, ".", "usage_usec 9\n")  # the root has no quota
    assert _throttled(proc, system) == (3, 3500)


def test_throttling_is_read_from_the_first_version_of_control_groups(tmp_path: Path) -> None:
    proc, system = tmp_path / "proc", tmp_path / "sys"
    member(proc, "5:memory:/elsewhere\n2:cpu:/job\n0::/\n")
    group(system, "cpu/job", "nr_periods 50\nnr_throttled 7\nthrottled_time 9000000\n")
    assert _throttled(proc, system) == (7, 9000)


def test_without_a_group_that_counts_there_is_no_throttling(tmp_path: Path) -> None:
    assert _throttled(tmp_path / "proc", tmp_path / "sys") == (None, None)
    member(tmp_path / "proc", "0::/\n")
    assert _throttled(tmp_path / "proc", tmp_path / "sys") == (None, None)
