"""What an interval counts as independent: blocks of one run, repeats of several."""

import msgspec
import numpy as np
import pytest

from twinserve.analysis.compare import compare_run
from twinserve.analysis.rows import read_series, read_sides
from twinserve.records.manifest import read_manifest, write_manifest


@pytest.fixture
def lucky(make_run, runs):
    """Two equal sides whose instances are faster or slower by luck, started eight times."""
    shape = runs.Shape(median_ms=60.0, repeat_sigma=0.15)
    return make_run(blocks=4, rows=50, repeats=8, shapes=(shape, shape), resources=False, seed=3)


def as_one_run(run):
    """The same rows as a single run of many blocks would have them."""
    manifest = read_manifest(run.manifest)
    manifest.workload = msgspec.structs.replace(manifest.workload, blocks=32, repeats=1)
    write_manifest(run.manifest, manifest)


def test_a_repeat_is_the_unit_where_there_are_several(lucky):
    first, second = read_sides(lucky, read_manifest(lucky.manifest))
    assert first.unit == "repeat"
    assert len(first.values("elapsed_ms")) == len(second.values("elapsed_ms")) == 8
    assert [part.unit for part in first.by_repeat()] == ["block"] * 8
    rows = sum(values.size for values in first.values("elapsed_ms"))
    assert rows == first.pooled("elapsed_ms").size == first.requests


def test_the_luck_of_instances_is_in_the_interval_of_repeats_and_not_in_that_of_one_run(lucky):
    repeated = compare_run(lucky).differences["elapsed_ms"].mean
    as_one_run(lucky)
    single = compare_run(lucky).differences["elapsed_ms"].mean
    assert repeated.estimate == single.estimate
    assert repeated.low < 0 < repeated.high
    assert repeated.high - repeated.low > 1.5 * (single.high - single.low)


def test_fewer_than_six_repeats_give_no_interval_and_say_so(make_run):
    comparison = compare_run(make_run(blocks=10, rows=60, repeats=3, resources=False))
    assert comparison.differences["elapsed_ms"].mean.low is None
    assert comparison.verdict.choice == "undetermined"
    assert "6 repeats with rows are needed, there are 3" in comparison.verdict.sentence


def test_a_single_run_is_labelled_as_one_and_repeats_as_many(make_run, lucky, tmp_path):
    many = compare_run(lucky).verdict
    assert "8 repeats, both sides started anew for each" in many.scope
    one = compare_run(make_run(tmp_path / "one", resources=False)).verdict
    assert one.scope.endswith("One run.")
    assert any(reason.startswith("One run: the luck of these") for reason in one.reasons)
    assert not any(reason.startswith("One run") for reason in many.reasons)


def test_rows_of_blocks_that_did_not_finish_are_left_out_of_each_series(make_run, runs):
    run = make_run(contrast=runs.Shape(), finished_blocks=7)
    series = read_series(run, read_manifest(run.manifest))
    assert sum(len(side.blocks) for side in series) == 7
    indexes = np.sort([block.index for side in series for block in side.blocks])
    assert indexes.tolist() == list(range(7))


def test_the_luck_of_repeats_is_no_drift_and_a_drift_within_them_is_one(make_run, runs, tmp_path):
    steady = runs.Shape(median_ms=60.0, repeat_sigma=0.3)
    leaking = runs.Shape(median_ms=60.0, repeat_sigma=0.3, drift=0.5)
    for name, shape, status in (("steady", steady, "pass"), ("leaking", leaking, "fail")):
        run = make_run(
            tmp_path / name, blocks=8, rows=40, repeats=4, shapes=(shape, shape), resources=False
        )
        [gate] = [gate for gate in compare_run(run).gates if gate.name == "drift"]
        assert gate.status == status, gate.detail
        assert "over a repeat" in gate.detail
