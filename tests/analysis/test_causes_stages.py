"""Where the time goes: stages that add up, with nothing counted twice."""

from __future__ import annotations

import polars as pl
import pytest

from twinserve.analysis.compare import compare_run


def stages_of(run):
    found = compare_run(run).causes.stages
    return {stage.name: stage for stage in found.stages}, found.whole


def test_the_means_add_up_to_the_mean_elapsed_time_on_both_sides(make_run, runs):
    shapes = (runs.Shape(100.0, error_share=0.05), runs.Shape(75.0, cold_rows=2))
    comparison = compare_run(make_run(shapes=shapes, rows=60))
    stages, whole = comparison.causes.stages.stages, comparison.causes.stages.whole
    for side in ("container", "function"):
        elapsed = comparison.deployments[side].elapsed_ms.mean
        assert whole.means[side] == pytest.approx(elapsed)
        assert sum(stage.means[side] for stage in stages) == pytest.approx(elapsed)


def test_the_differences_and_their_shares_add_up_as_well(plant):
    stages, whole = stages_of(plant({"function": {"queue_ms": 0.3}}))
    differences = [stage.difference.estimate for stage in stages.values()]
    assert sum(differences) == pytest.approx(whole.difference.estimate)
    assert sum(stage.share for stage in stages.values()) == pytest.approx(1.0)


def test_a_planted_wait_is_found_with_its_size_and_an_interval(plant):
    stages, whole = stages_of(plant({"container": {}, "function": {"queue_ms": 0.4}}))
    queue = stages["queue"]
    assert queue.means["function"] == pytest.approx(0.4 * whole.means["function"], rel=1e-3)
    assert queue.means["container"] == 0
    assert queue.difference.low < 0.4 * whole.means["function"] < queue.difference.high


def test_the_instances_own_wait_is_a_part_of_its_process_time_and_counted_once(plant):
    shares = {"queue_ms": 0.2, "instance_queue_ms": 0.3, "encode_ms": 0.1}
    stages, whole = stages_of(plant({"function": shares, "container": {}}))
    found = {
        name: stage.means["function"] / whole.means["function"] for name, stage in stages.items()
    }
    assert found["queue"] == pytest.approx(0.2, rel=1e-3)
    assert found["turn"] == pytest.approx(0.3, rel=1e-3)
    assert found["encode"] == pytest.approx(0.1, rel=1e-3)
    assert found["inference"] == pytest.approx(0.35, rel=1e-3)
    assert sum(found.values()) == pytest.approx(1.0)


def test_runs_of_before_the_waits_were_apart_go_by_the_concurrency(make_run):
    run = make_run(rows=60)
    rows = pl.read_csv(run.samples, infer_schema=False)
    rows.drop("instance_queue_ms", "inference_ms", "encode_ms").write_csv(run.samples)
    stages, whole = stages_of(run)
    share = 0.02  # tests/runs.py
    assert stages["turn"].means["container"] == pytest.approx(
        share * whole.means["container"], rel=0.01
    )
    assert stages["queue"].means["function"] == pytest.approx(
        share * whole.means["function"], rel=0.01
    )
    assert stages["turn"].means["function"] == stages["queue"].means["container"] == 0
    assert "process" in stages
    assert "inference" not in stages


def test_what_left_late_is_a_stage_of_open_loops_alone(make_run):
    run = make_run(rows=60)
    assert "late" not in stages_of(run)[0]
    rows = pl.read_csv(run.samples, infer_schema=False)
    earlier = (pl.col("due_us").cast(int) - 5000).cast(pl.String)
    own = pl.col("side") == "function"
    rows.with_columns(due_us=pl.when(own).then(earlier).otherwise(pl.col("due_us"))).write_csv(
        run.samples
    )
    late = stages_of(run)[0]["late"]
    assert late.means == pytest.approx({"container": 0.0, "function": 5.0})


def test_the_contrast_is_taken_apart_beside_the_sides(make_run, runs):
    _, whole = stages_of(make_run(rows=60, contrast=runs.Shape(90.0)))
    assert list(whole.means) == ["container", "function", "contrast"]
    assert whole.means["contrast"] == pytest.approx(90, rel=0.1)


def test_a_service_that_says_nothing_of_itself_leaves_the_stages_untold(make_run):
    run = make_run(rows=60)
    rows = pl.read_csv(run.samples, infer_schema=False)
    silent = pl.when(pl.col("side") == "function").then(None).otherwise(pl.col("process_ms"))
    rows.with_columns(process_ms=silent).write_csv(run.samples)
    causes = compare_run(run).causes
    assert causes.stages is None
    assert "100 % of the function's answers do not say where their time went" in causes.untold


def test_few_blocks_leave_the_differences_without_intervals(plant):
    stages, whole = stages_of(plant({"function": {"queue_ms": 0.3}}, blocks=3))
    assert whole.difference.low is None
    assert stages["queue"].difference.low is None
    assert stages["queue"].share is None
