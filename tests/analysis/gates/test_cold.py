import numpy as np
import pytest

from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.gates import cold
from twinserve.analysis.rows import read_sides
from twinserve.records.manifest import read_manifest
from twinserve.workload import ClosedLoop, Workload

PASS, FAIL, UNKNOWN = GateStatus.PASS, GateStatus.FAIL, GateStatus.UNKNOWN


def workload(is_cold=False):
    return Workload(
        profile="cold" if is_cold else "quick",
        arrivals=ClosedLoop(users=1),
        blocks=10,
        block_s=1.0,
        warmup_s=0.0,
        seed=7,
        cold=is_cold,
    )


@pytest.mark.parametrize(("waited", "status"), [(0, PASS), (10, PASS), (11, FAIL)])
def test_cold_fails_above_one_percent_of_a_side(waited, status, counted):
    gate = cold.judge(workload(), [counted(1000, cold=waited), counted(1000, name="right")])
    assert gate.status is status
    assert f"left: {waited} of 1,000 requests waited" in gate.detail


@pytest.mark.parametrize(("met", "status"), [(1000, PASS), (990, PASS), (989, FAIL), (0, FAIL)])
def test_where_cold_requests_are_the_measurement_the_warm_ones_must_be_few(met, status, counted):
    sides = [counted(1000, cold=met), counted(1000, cold=1000, name="right")]
    gate = cold.judge(workload(is_cold=True), sides)
    assert gate.status is status
    assert f"left: {met:,} of 1,000 requests met a cold deployment" in gate.detail


def test_a_side_without_requests_leaves_it_unknown(side, counted):
    for is_cold in (True, False):
        assert cold.judge(workload(is_cold), [counted(9), side(name="right")]).status is UNKNOWN


def test_cold_and_warm_times_stand_apart(make_run, runs):
    run = make_run(shapes=(runs.Shape(median_ms=100, cold_rows=3), runs.Shape(median_ms=75)))
    manifest = read_manifest(run.manifest)
    first, second = read_sides(run, manifest)
    gate = cold.judge(manifest.workload, (first, second))
    assert gate.status is FAIL
    told = [first.pooled(f"elapsed_{name}_ms") for name in ("cold", "warm")]
    assert told[0].size == 30
    middles = [f"{np.median(values):.0f} ms" for values in told]
    assert f"container: cold p50 {middles[0]}, p95 " in gate.detail
    assert f" of 30, warm p50 {middles[1]}, p95 " in gate.detail
    assert f"of {told[1].size:,}." in gate.detail
    assert "function: cold" not in gate.detail
