"""Threads come from the CPU quota, never from the host's cores."""

import os
from pathlib import Path

import pytest

from twinserve.bundle.cpu import cpu_limit, has_fast_bf16, has_int8, thread_count


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"cpu.max": "50000 100000"}, 0.5),
        ({"cpu.max": "100000 100000"}, 1.0),
        ({"cpu/cpu.cfs_quota_us": "75000", "cpu/cpu.cfs_period_us": "100000"}, 0.75),
    ],
)
def test_a_cgroup_quota_limits(tmp_path: Path, files: dict[str, str], limit: float) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_limit(tmp_path) == limit
    assert thread_count(tmp_path) == 1


@pytest.mark.parametrize("text", ["max 100000", "", "nonsense"])
def test_without_a_quota_the_affinity_limits(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_limit(tmp_path) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("vendor", "flags", "fast"),
    [
        ("GenuineIntel", "avx512f avx512_bf16 amx_bf16", True),
        ("GenuineIntel", "avx512f avx512_bf16", False),
        ("AuthenticAMD", "avx512f avx512_bf16", True),
        ("AuthenticAMD", "avx2", False),
    ],
)
def test_bfloat16_is_chosen_where_it_is_fast(
    tmp_path: Path, vendor: str, flags: str, fast: bool
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu {flags} sse\n")
    assert has_fast_bf16(facts) is fast


def test_an_unknown_cpu_computes_in_float32(tmp_path: Path) -> None:
    assert not has_fast_bf16(tmp_path / "missing")
    (tmp_path / "arm").write_text("processor : 0\nFeatures : fp asimd bf16\n")
    assert not has_fast_bf16(tmp_path / "arm")


def test_int8_needs_a_cpu_that_adds_up_bytes_exactly(tmp_path: Path) -> None:
    facts = tmp_path / "cpuinfo"
    for flags, able in (("avx512_vnni", True), ("avx2 avx_vnni", True), ("avx2 avx512f", False)):
        facts.write_text(f"vendor_id\t: GenuineIntel\nflags\t\t: fpu {flags} sse\n")
        assert has_int8(facts) is able
    assert not has_int8(tmp_path / "missing")
