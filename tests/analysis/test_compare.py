import math

import numpy as np
import polars as pl
import pytest

from twinserve.analysis.compare import compare_run
from twinserve.analysis.comparison import (
    MEASURES,
    GateStatus,
    Strength,
    read_comparison,
    write_comparison,
)
from twinserve.errors import RecordError
from twinserve.records.manifest import RunState, read_manifest, write_manifest
from twinserve.records.resources import read_resources
from twinserve.records.samples import COLUMNS, read_samples


def status(comparison, name):
    return next(gate.status for gate in comparison.gates if gate.name == name)


def test_a_complete_run_names_the_faster_side_by_its_numbers(make_run):
    run = make_run()
    comparison = compare_run(run)
    rows = read_samples(run.samples).filter(pl.col("phase") == "block")
    for name in ("container", "function"):
        summary = comparison.deployments[name]
        elapsed = rows.filter(pl.col("side") == name)["elapsed_ms"].to_numpy()
        assert summary.requests == summary.elapsed_ms.count == elapsed.size
        assert summary.elapsed_ms.p95 == pytest.approx(np.quantile(elapsed, 0.95))
        assert summary.cold_starts == 1
    assert comparison.verdict.choice == "function"
    assert comparison.verdict.strength is Strength.PROVISIONAL
    assert comparison.verdict.sentence.startswith("The function answers 1.3 times as fast as the")
    assert set(comparison.differences) == set(MEASURES)
    p95 = comparison.differences["elapsed_ms"].p95
    assert p95.low < p95.estimate < p95.high < 0
    assert comparison.differences["elapsed_ms"].ratio_of_means.estimate > 1


def test_the_scope_says_what_was_run_and_where(make_run):
    scope = compare_run(make_run(users=3, images=2)).verdict.scope
    for part in (
        "pgan-64 (64x64)",
        "3 users",
        "2 images",
        "2 cores",
        "plain processes",
        "any cloud",
    ):
        assert part in scope


def test_a_comparison_survives_its_file(make_run):
    run = make_run()
    comparison = compare_run(run)
    write_comparison(run.comparison, comparison)
    assert read_comparison(run.comparison) == comparison


def test_side_names_come_from_the_data(make_run, runs):
    shapes = (runs.Shape(median_ms=60.0), runs.Shape(median_ms=90.0))
    comparison = compare_run(make_run(sides=("eighty at a time", "eight at a time"), shapes=shapes))
    assert comparison.sides == ("eighty at a time", "eight at a time")
    assert comparison.verdict.choice == "eighty at a time"
    assert "container" not in comparison.verdict.sentence + "".join(comparison.verdict.reasons)


def test_two_equal_sides_are_either(make_run, runs):
    same = runs.Shape(median_ms=20.0, sigma=0.1, block_sigma=0.003)
    comparison = compare_run(make_run(rows=200, shapes=(same, same)))
    assert comparison.verdict.choice == "either"


def test_throughput_is_answered_requests_over_the_time_of_the_blocks(make_run, runs):
    run = make_run(shapes=(runs.Shape(error_share=0.2), runs.Shape()))
    comparison, manifest = compare_run(run), read_manifest(run.manifest)
    for name in comparison.sides:
        seconds = sum(b.end_us - b.start_us for b in manifest.blocks if b.side == name) / 1e6
        summary = comparison.deployments[name]
        answered = summary.requests - summary.errors
        assert summary.throughput_rps == pytest.approx(answered / seconds)


def test_readings_count_only_while_their_own_side_is_loaded(make_run):
    comparison = compare_run(make_run())
    for name in comparison.sides:
        assert comparison.deployments[name].cpu_percent.min > 80  # the idle side reads 0.5
    assert comparison.differences["memory_mib"].mean.estimate == pytest.approx(20, abs=1)


def test_readings_of_several_instances_add_up(make_run):
    run = make_run()
    header, *lines = run.resources.read_text().splitlines()
    twins = [
        f"{float(at_ms) + 40},{rest}"  # the second instance is read a little later
        for at_ms, rest in (
            line.replace("function-1", "function-2").split(",", 1) for line in lines
        )
        if "function-2" in rest
    ]
    before = compare_run(run).deployments["function"]
    run.resources.write_text("\n".join([header, *lines, *twins]) + "\n")
    after = compare_run(run).deployments["function"]
    assert after.memory_mib.count == before.memory_mib.count
    assert after.memory_mib.mean == pytest.approx(2 * before.memory_mib.mean, rel=1e-3)
    assert after.cpu_percent.max == pytest.approx(2 * before.cpu_percent.max)


def test_an_instance_that_its_quota_held_back_is_named_in_the_verdict(make_run):
    run = make_run()
    readings = read_resources(run.resources)
    held = readings.with_columns(
        threads=8,
        cpu_limit=1.0,
        nr_periods=10,
        nr_throttled=pl.when(side="function").then(4).otherwise(0),
        throttled_usec=200_000,
    )
    before = compare_run(run).verdict
    held.write_csv(run.resources)
    after = compare_run(run).verdict
    [sentence] = [reason for reason in after.reasons if reason not in before.reasons]
    assert sentence.startswith("function-1 was throttled: its 8 threads had 1 CPU")
    assert after.choice == before.choice


def test_errors_are_counted_and_left_out_of_the_times(make_run, runs):
    run = make_run(shapes=(runs.Shape(error_share=0.05), runs.Shape()))
    comparison = compare_run(run)
    container = comparison.deployments["container"]
    assert 0 < container.errors < container.requests
    assert container.elapsed_ms.count == container.requests - container.errors
    assert status(comparison, "errors") is GateStatus.FAIL
    assert comparison.verdict.choice == "undetermined"
    assert "errors" in comparison.verdict.sentence


def test_a_side_of_nothing_but_errors_is_undetermined_and_has_no_times(make_run, runs):
    comparison = compare_run(make_run(shapes=(runs.Shape(), runs.Shape(error_share=1.0))))
    function = comparison.deployments["function"]
    assert function.errors == function.requests > 0
    assert function.elapsed_ms is None
    assert function.throughput_rps == 0
    assert "elapsed_ms" not in comparison.differences
    assert comparison.verdict.choice == "undetermined"


def test_a_drifting_run_is_not_believed(make_run, runs):
    shapes = (runs.Shape(drift=0.6), runs.Shape(drift=0.6))
    comparison = compare_run(make_run(shapes=shapes))
    assert status(comparison, "drift") is GateStatus.FAIL
    assert "the gate drift failed" in comparison.verdict.sentence


def test_a_load_that_was_not_applied_is_not_believed(make_run, runs):
    comparison = compare_run(make_run(shapes=(runs.Shape(pause_s=0.1), runs.Shape())))
    assert status(comparison, "load") is GateStatus.FAIL


def test_declared_think_time_passes_the_load_gate(make_run):
    assert status(compare_run(make_run(think_s=0.1)), "load") is GateStatus.PASS


def test_cold_starts_inside_blocks_are_not_believed(make_run, runs):
    comparison = compare_run(make_run(shapes=(runs.Shape(cold_rows=4), runs.Shape())))
    assert status(comparison, "cold") is GateStatus.FAIL


def test_too_few_rows_say_how_many_more_are_needed(make_run):
    comparison = compare_run(make_run(rows=40))
    assert comparison.verdict.choice == "undetermined"
    assert "p95 needs 1,000 rows" in comparison.verdict.sentence
    assert comparison.differences["elapsed_ms"].p95.low is None
    assert comparison.differences["elapsed_ms"].p50.low is not None


def test_too_few_blocks_say_how_many_more_are_needed(make_run):
    comparison = compare_run(make_run(blocks=4, rows=300))
    assert "6 blocks with rows are needed, there are 4" in comparison.verdict.sentence
    assert comparison.differences["elapsed_ms"].mean.low is None


def test_an_interrupted_run_with_enough_blocks_is_decided_and_says_so(make_run):
    run = make_run(blocks=20, finished_blocks=24, state=RunState.INTERRUPTED)
    comparison = compare_run(run)
    assert comparison.verdict.choice == "function"
    assert (
        "The run was interrupted (stopped by Ctrl-C): 24 of 40 blocks were finished."
        in comparison.verdict.reasons
    )
    finished = {block.index for block in read_manifest(run.manifest).blocks}
    rows = read_samples(run.samples).filter(pl.col("block").is_in(finished))
    assert rows.height == sum(side.requests for side in comparison.deployments.values())


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_a_run_that_was_cut_off_early_is_undetermined(make_run, finished):
    comparison = compare_run(make_run(finished_blocks=finished, state=RunState.RUNNING))
    assert comparison.verdict.choice == "undetermined"
    assert any("was cut off" in reason for reason in comparison.verdict.reasons)


def test_a_truncated_last_line_is_left_out(make_run):
    run = make_run()
    whole = compare_run(run)
    for path in (run.samples, run.resources, run.events):
        with path.open("ab") as file:
            file.write(path.read_bytes().splitlines()[-1][:25])
    assert compare_run(run) == whole


def test_a_run_without_any_row_gives_an_empty_comparison(make_run):
    run = make_run()
    run.samples.write_text(",".join(COLUMNS) + "\n")
    run.resources.unlink()
    run.events.unlink()
    comparison = compare_run(run)
    assert comparison.verdict.choice == "undetermined"
    assert comparison.differences == {}
    for side in comparison.deployments.values():
        assert (side.requests, side.errors, side.cold_starts, side.throughput_rps) == (0, 0, 0, 0.0)
        assert side.memory_mib is None


def test_without_readings_the_times_are_still_compared(make_run):
    comparison = compare_run(make_run(resources=False))
    assert comparison.deployments["container"].cpu_percent is None
    assert "cpu_percent" not in comparison.differences
    assert comparison.verdict.choice == "function"


def test_without_events_the_requests_that_waited_count_as_cold_starts(make_run):
    run = make_run()
    run.events.unlink()
    assert compare_run(run).deployments["function"].cold_starts == 1


def test_a_connection_that_is_always_kept_has_no_ratio(make_run):
    run = make_run()
    frame = pl.read_csv(run.samples, infer_schema=False)
    frame.with_columns(connected_us=pl.col("sent_us")).write_csv(run.samples)
    connect = compare_run(run).differences["connect_ms"]
    assert connect.mean.estimate == 0
    assert connect.ratio_of_means is None


def test_the_order_of_the_sides_only_turns_signs(make_run):
    run = make_run()
    manifest = read_manifest(run.manifest)
    forth = compare_run(run)
    manifest.deployments = dict(reversed(manifest.deployments.items()))
    write_manifest(run.manifest, manifest)
    back = compare_run(run)
    assert back.verdict.choice == forth.verdict.choice
    for measure, difference in forth.differences.items():
        assert math.isclose(back.differences[measure].mean.estimate, -difference.mean.estimate)


@pytest.mark.parametrize("missing", ["run.json", "samples.csv"])
def test_a_directory_that_is_no_run_is_named(make_run, missing):
    run = make_run()
    (run.path / missing).unlink()
    with pytest.raises(RecordError, match=missing):
        compare_run(run)
