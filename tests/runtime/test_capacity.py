"""What the machine carries."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinserve.deployment import Deployment, Kind
from twinserve.runtime import capacity
from twinserve.runtime.capacity import Capacity, host_capacity, instance_cap, usable_cpus


def side(cpu: float = 1.0, memory_mib: int = 4096) -> Deployment:
    return Deployment("container", Kind.CONTAINER, "random-16", cpu=cpu, memory_mib=memory_mib)


@pytest.mark.parametrize(
    ("cores", "memory_mib", "cpu", "instances"),
    [
        (1, 2048, 1.0, 1),  # never below one
        (2, 8192, 1.0, 1),  # a core is left for the load generator
        (4, 65536, 1.0, 3),
        (4, 65536, 0.5, 3),  # a core each, as they are pinned
        (8, 65536, 2.0, 3),
        (16, 24105, 1.0, 5),  # (24105 - 1024) / 4096
        (16, 3000, 1.0, 1),
    ],
)
def test_instances_are_capped_by_cores_and_memory_beside_the_load_generator(
    cores: int, memory_mib: int, cpu: float, instances: int
) -> None:
    assert instance_cap(Capacity(cores, memory_mib), side(cpu)).instances == instances


def test_the_sentence_names_what_decides() -> None:
    assert "2 cores" in instance_cap(Capacity(2, 65536), side()).sentence
    assert "24105 MiB" in instance_cap(Capacity(16, 24105), side()).sentence
    assert "overcommits" not in instance_cap(Capacity(16, 24105), side()).sentence


@pytest.mark.parametrize("here", [Capacity(1, 65536), Capacity(8, 2048)])
def test_the_sentence_says_when_even_one_instance_overcommits(here: Capacity) -> None:
    assert "overcommits" in instance_cap(here, side()).sentence


def test_this_machine_has_at_least_a_core_and_some_memory() -> None:
    here = host_capacity()
    assert 1 <= here.cores <= len(usable_cpus())
    assert here.memory_mib > 128


def test_a_cgroup_quota_above_this_process_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "cgroup/outer/inner"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n")
    (inner.parent / "cpu.max").write_text("100000 100000\n")
    (inner.parent / "memory.max").write_text(f"{700 * 1024 * 1024}\n")
    (tmp_path / "membership").write_text("0::/outer/inner\n")
    monkeypatch.setattr(capacity, "CGROUP_ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(capacity, "MEMBERSHIP", tmp_path / "membership")
    assert host_capacity() == Capacity(cores=1, memory_mib=700)


def test_version_one_cgroups_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, memory = tmp_path / "cpu/box", tmp_path / "memory/box"
    cpu.mkdir(parents=True)
    memory.mkdir(parents=True)
    (cpu / "cpu.cfs_quota_us").write_text("100000\n")
    (cpu / "cpu.cfs_period_us").write_text("100000\n")
    (memory / "memory.limit_in_bytes").write_text(f"{600 * 1024 * 1024}\n")
    (tmp_path / "membership").write_text("4:cpu,cpuacct:/box\n3:memory:/box\n")
    monkeypatch.setattr(capacity, "CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(capacity, "MEMBERSHIP", tmp_path / "membership")
    assert host_capacity() == Capacity(cores=1, memory_mib=600)
