"""Instances that their quota held back are named; others are not."""

from __future__ import annotations

from pathlib import Path

from twinserve.analysis.throttling import throttled_instances
from twinserve.records.resources import ResourceRow, ResourceWriter, read_resources


def rows(path: Path, *instances: tuple[str, float | None, int, int]) -> Path:
    """Ten readings an instance: name, CPU limit, threads, throttled periods of ten."""
    with ResourceWriter(path) as writer:
        for second in range(10):
            for name, limit, threads, held in instances:
                periods = None if limit is None else 10
                writer.add(
                    ResourceRow(
                        at_ms=1000.0 * second,
                        side=name.rpartition("-")[0],
                        instance=name,
                        cpu_percent=50.0,
                        memory_mib=100.0,
                        busy_requests=1,
                        threads=threads,
                        cpu_limit=limit,
                        nr_periods=periods,
                        nr_throttled=None if limit is None else held,
                        throttled_usec=None if limit is None else held * 50_000,
                    )
                )
    return path


def test_threads_that_outnumber_the_quota_are_named_the_worst_first(tmp_path: Path) -> None:
    path = rows(
        tmp_path / "resources.csv",
        ("mild-1", 1.0, 4, 1),
        ("calm-1", 1.0, 4, 0),
        ("hard-1", 0.5, 8, 9),
        ("process-1", None, 8, 0),
    )
    found = throttled_instances(read_resources(path))
    assert [each.instance for each in found] == ["hard-1", "mild-1"]
    assert found[0].share == 0.9
    assert found[0].throttled_s == 4.5
    assert found[0].sentence.startswith(
        "hard-1 was throttled: its 8 threads had 0.5 CPU and used that up early in 90% of the"
    )


def test_readings_of_an_older_run_name_nobody(tmp_path: Path) -> None:
    path = tmp_path / "resources.csv"
    path.write_text(
        "at_ms,side,instance,cpu_percent,memory_mib,busy_requests\n1.0,a,a-1,99.0,10.0,1\n"
    )
    assert throttled_instances(read_resources(path)) == []
