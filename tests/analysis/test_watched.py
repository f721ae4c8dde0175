"""What ``host.csv`` and ``resources.csv`` say about the seconds of the blocks."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from twinserve.analysis.watched import mean_of, read_watched, share_above
from twinserve.records.host import HostRow, HostWriter
from twinserve.records.manifest import Block, read_manifest
from twinserve.records.resources import ResourceRow, ResourceWriter

ROW = HostRow(
    at_ms=0.0,
    period_s=1.0,
    cores=2,
    busy_percent=130.0,
    steal_percent=None,
    generator_percent=10.0,
    platform_percent=105.0,
    lag_mean_ms=0.3,
    lag_max_ms=2.0,
    swap_in_mib=0.5,
    swap_out_mib=0.25,
    nr_throttled=None,
    throttled_usec=None,
    pressure_percent=4.0,
    heat_throttles=None,
)


@pytest.fixture
def told(make_run, tmp_path):
    """``told(rows, blocks, readings, runner)``: what a run with these says; a row is (second of its
    end, changes), a block (start, end) in seconds, a reading (second, side, instance, percent)."""

    def make(rows, blocks=((0, 10),), readings=(), runner="process"):
        place = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        run = make_run(place, blocks=1, rows=4, resources=False)
        manifest = read_manifest(run.manifest)
        began_ms = manifest.started_epoch_ms
        with HostWriter(run.host) as writer:
            for second, changes in rows:
                writer.add(replace(ROW, at_ms=began_ms + 1000 * second, **changes))
        with ResourceWriter(run.resources) as writer:
            for second, side, instance, percent in readings:
                at_ms = began_ms + 1000 * second
                writer.add(ResourceRow(at_ms, side, instance, percent, 100.0, 1))
        planned = [
            Block(i, i // 2, ("container", "function")[i % 2], start * 10**6, end * 10**6)
            for i, (start, end) in enumerate(blocks)
        ]
        changed = msgspec.structs.replace(manifest, blocks=planned, runner=runner)
        return read_watched(run, changed)

    return make


def seconds(first, last, **changes):
    return [(at, changes) for at in range(first, last + 1)]


def test_only_seconds_whose_middle_lies_in_a_block_count(told):
    found = told(seconds(1, 20), blocks=[(2, 5), (8, 10)])
    assert found.seconds.sum() == 5
    assert found.blocks_s == 5
    assert not found.is_short


def test_blocks_that_ran_at_the_same_time_count_once(told):
    found = told(seconds(1, 20), blocks=[(2, 8), (2, 9), (12, 14)])
    assert found.blocks_s == 9
    assert found.seconds.sum() == 9


def test_missing_seconds_are_noticed(told):
    assert told(seconds(1, 7)).is_short
    assert not told(seconds(1, 8)).is_short


def test_what_nobody_of_ours_used_is_what_others_used(told):
    found = told(seconds(1, 10))
    assert np.all(found.others_percent == 15.0)
    assert found.overhead_percent is None  # without readings of the instances nobody can tell


def test_of_child_processes_the_instances_are_taken_off_the_platform(told):
    readings = [(s - 0.5, "container", "container-1", 95.0) for s in range(1, 11)]
    found = told(seconds(1, 10), readings=readings)
    assert np.all(found.overhead_percent == 20.0)
    assert np.all(found.others_percent == 15.0)


def test_containers_are_no_children_and_are_taken_off_the_rest(told):
    readings = [(s - 0.5, "container", "container-1", 95.0) for s in range(1, 11)]
    rows = seconds(1, 10, platform_percent=8.0)
    found = told(rows, readings=readings, runner="podman")
    assert np.all(found.overhead_percent == 18.0)
    assert np.all(found.others_percent == 17.0)
    assert told(rows, runner="podman").others_percent is None


def test_instances_at_once_are_counted_while_their_side_is_loaded(told):
    readings = [
        *[(s, "container", f"container-{i}", 50.0) for s in (0.5, 1.5) for i in (1, 2)],
        *[(s, "container", f"container-{i}", 50.0) for s in (6.5, 7.5) for i in (1, 2, 3)],
        (7.5, "function", "function-1", 50.0),
    ]
    found = told(seconds(1, 10), blocks=[(0, 5), (5, 10)], readings=readings)
    assert found.instances == {"container": 2, "function": 1}


def test_what_the_system_does_not_tell_is_none(told):
    found = told(seconds(1, 10))
    assert found.steal_percent is None
    assert found.throttled is None
    assert np.all(found.swapped_mib == 0.75)
    assert told(seconds(1, 10, busy_percent=None)).others_percent is None


def test_a_mean_weighs_seconds_by_their_length(told):
    rows = [(1, {}), (5, {"period_s": 4.0, "lag_mean_ms": 1.3}), (10, {"period_s": 5.0})]
    found = told(rows)
    assert mean_of(found, found.lag_mean_ms) == pytest.approx(0.7)
    assert share_above(found, found.lag_mean_ms, 1.0) == pytest.approx(0.4)


def test_a_run_without_a_row_or_a_block_tells_nothing(told):
    assert told([]) is None
    assert told(seconds(1, 10), blocks=()) is None
