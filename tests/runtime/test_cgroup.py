"""Control groups of both versions, from trees as the kernel lays them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinserve.runtime.cgroup import NO_LIMIT, Cgroup, CgroupReading

CONTAINER = "7c97be2a4ac21c1af04857aef1ac4674a0b2450cfe06702af3fb28448dbd0407"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def version_1(tmp_path: Path) -> tuple[Path, Path]:
    group = f"libpod_parent/libpod-{CONTAINER}"
    lines = [f"{n}:{name}:/{group}" for n, name in enumerate(("cpu", "cpuacct", "memory", "pids"))]
    write(tmp_path / "proc", {"7/cgroup": "\n".join([*lines, f"0::/{group}"])})
    write(
        tmp_path / "root",
        {
            f"cpu/{group}/cpu.stat": "nr_periods 40\nnr_throttled 30\nthrottled_time 5000000\n",
            f"cpu/{group}/cpu.cfs_quota_us": "50000\n",
            f"cpu/{group}/cpu.cfs_period_us": "100000\n",
            f"cpuacct/{group}/cpuacct.usage": "2500000000\n",
            f"memory/{group}/memory.usage_in_bytes": "3000\n",
            f"memory/{group}/memory.stat": "cache 9\ntotal_inactive_file 1000\n",
            f"memory/{group}/memory.limit_in_bytes": "4096\n",
            f"memory/{group}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            f"pids/{group}/pids.current": "9\n",
        },
    )
    return tmp_path / "root", tmp_path / "proc"


@pytest.fixture
def version_2(tmp_path: Path) -> tuple[Path, Path]:
    group = f"system.slice/docker-{CONTAINER}.scope"
    write(tmp_path / "proc", {"7/cgroup": f"0::/{group}\n"})
    write(
        tmp_path / "root",
        {
            "cgroup.controllers": "cpu memory pids\n",
            f"{group}/cpu.stat": (
                "usage_usec 2500000\nnr_periods 40\nnr_throttled 30\nthrottled_usec 5000\n"
            ),
            f"{group}/cpu.max": "50000 100000\n",
            f"{group}/memory.current": "3000\n",
            f"{group}/memory.stat": "anon 5\ninactive_file 1000\n",
            f"{group}/memory.max": "4096\n",
            f"{group}/memory.events": "oom 1\noom_kill 2\n",
            f"{group}/pids.current": "9\n",
        },
    )
    return tmp_path / "root", tmp_path / "proc"


@pytest.mark.parametrize("version", ["version_1", "version_2"])
def test_both_versions_read_alike(version: str, request: pytest.FixtureRequest) -> None:
    root, proc = request.getfixturevalue(version)
    group = Cgroup.of(7, root, proc)
    assert group is not None
    assert group.names(CONTAINER)
    assert not group.names("another")
    assert group.read() == CgroupReading(
        cpu_s=2.5,
        memory_bytes=2000,
        threads=9,
        cpu_limit=0.5,
        memory_limit_bytes=4096,
        nr_periods=40,
        nr_throttled=30,
        throttled_usec=5000,
        oom_kills=2,
    )


def test_no_limit_is_none(version_2: tuple[Path, Path]) -> None:
    root, proc = version_2
    group = next(root.glob("*/docker-*"))
    (group / "cpu.max").write_text("max 100000\n")
    (group / "memory.max").write_text("max\n")
    found = Cgroup.of(7, root, proc)
    reading = found.read() if found else None
    assert reading is not None
    assert (reading.cpu_limit, reading.memory_limit_bytes) == (None, None)


def test_version_1_says_no_limit_with_minus_one_and_a_huge_number(
    version_1: tuple[Path, Path],
) -> None:
    root, proc = version_1
    next(root.glob("cpu/*/*/cpu.cfs_quota_us")).write_text("-1\n")
    next(root.glob("memory/*/*/memory.limit_in_bytes")).write_text(f"{NO_LIMIT + 4096}\n")
    found = Cgroup.of(7, root, proc)
    reading = found.read() if found else None
    assert reading is not None
    assert (reading.cpu_limit, reading.memory_limit_bytes) == (None, None)


def test_what_is_gone_has_no_group_and_no_reading(version_2: tuple[Path, Path]) -> None:
    root, proc = version_2
    assert Cgroup.of(8, root, proc) is None
    group = Cgroup.of(7, root, proc)
    assert group is not None
    next(root.glob("*/docker-*/cpu.stat")).unlink()
    assert group.read() is None


@pytest.mark.parametrize("version", ["version_1", "version_2"])
def test_a_quota_can_be_changed(version: str, request: pytest.FixtureRequest) -> None:
    group = Cgroup.of(7, *request.getfixturevalue(version))
    assert group is not None
    assert group.can_hold
    group.hold_to(2.0)
    found = group.read()
    assert found is not None
    assert found.cpu_limit == 2.0


def test_a_group_that_is_gone_cannot_be_held(tmp_path: Path) -> None:
    group = Cgroup({}, tmp_path / "gone")
    assert not group.can_hold
    with pytest.raises(FileNotFoundError):
        group.hold_to(1.0)
