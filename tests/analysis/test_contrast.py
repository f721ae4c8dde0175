"""The matched contrast takes a difference apart, and changes nothing about the two sides."""

import msgspec
import polars as pl
import pytest

from twinserve.analysis.compare import compare_run
from twinserve.analysis.comparison import read_comparison, write_comparison
from twinserve.records.manifest import EqualityResult, read_manifest, write_manifest


def test_a_known_difference_is_split_into_settings_and_serving_stack(make_run, runs):
    found = compare_run(make_run(contrast=runs.Shape(median_ms=80.0))).contrast
    assert (found.stack_of, found.settings_of) == ("container", "function")
    for name, factor in (("p50", 1.0), ("p95", 1.509)):  # of a log-normal with sigma 0.25
        split = found.splits[name]
        assert split.settings.low < -20 * factor < split.settings.high < 0
        assert split.serving_stack.low < -5 * factor < split.serving_stack.high < 0
        whole = split.settings.estimate + split.serving_stack.estimate
        assert whole == pytest.approx(split.whole.estimate)


def test_the_parts_are_the_same_whichever_side_comes_first(make_run, runs):
    run = make_run(contrast=runs.Shape(median_ms=80.0))
    forth = compare_run(run).contrast.splits["p95"]
    manifest = read_manifest(run.manifest)
    manifest.deployments = dict(reversed(manifest.deployments.items()))
    write_manifest(run.manifest, manifest)
    back = compare_run(run).contrast
    assert back.stack_of == "container"
    assert back.splits["p95"].settings.estimate == pytest.approx(-forth.settings.estimate)
    assert back.splits["p95"].serving_stack.low == pytest.approx(-forth.serving_stack.high)


def test_the_verdict_says_what_of_the_difference_is_what(make_run, runs):
    reasons = compare_run(make_run(contrast=runs.Shape(median_ms=75.0))).verdict.reasons
    [split] = [reason for reason in reasons if reason.startswith("Of the difference of p95")]
    assert "is settings (80 against 1 requests at a time)" in split
    assert "which may be nothing) is the serving stack" in split


def test_the_two_sides_are_judged_as_if_there_were_no_contrast(make_run, runs):
    run = make_run(contrast=runs.Shape(median_ms=90.0))
    beside = compare_run(run)
    manifest = read_manifest(run.manifest)
    manifest.contrast, manifest.blocks = None, manifest.side_blocks
    write_manifest(run.manifest, manifest)
    rows = pl.read_csv(run.samples, infer_schema=False)
    rows.filter(pl.col("side") != "contrast").write_csv(run.samples)
    alone = compare_run(run)
    assert alone.contrast is None
    assert beside.deployments == alone.deployments
    assert beside.differences == alone.differences
    assert beside.gates == alone.gates
    assert beside.verdict.sentence == alone.verdict.sentence


@pytest.mark.parametrize(
    ("shape", "why"),
    [({"error_share": 0.2}, "requests to the contrast failed"), ({}, "did not answer as the two")],
)
def test_a_contrast_that_cannot_be_believed_tells_nothing_and_says_why(make_run, runs, shape, why):
    fault = "" if shape else "1 image(s) of seed 7: contrast failed (503)"
    run = make_run(
        contrast=runs.Shape(median_ms=80.0, **shape),
        equality=EqualityResult(4, 4, "4 of 4 requests gave equal pixels", fault),
    )
    comparison = compare_run(run)
    assert comparison.contrast.splits == {}
    assert why in comparison.contrast.why
    assert any("cannot be told apart" in reason for reason in comparison.verdict.reasons)
    assert comparison.verdict.choice == "function"


def test_too_few_rows_leave_the_parts_without_intervals(make_run, runs):
    found = compare_run(make_run(rows=40, contrast=runs.Shape(median_ms=80.0))).contrast
    assert found.splits["p95"].settings.low is None
    assert found.splits["p50"].settings.low is not None


def test_an_interrupted_run_splits_what_is_there(make_run, runs):
    run = make_run(contrast=runs.Shape(median_ms=80.0), finished_blocks=20, state="running")
    assert set(compare_run(run).contrast.splits) == {"mean", "p50", "p95"}


def test_a_comparison_with_a_contrast_survives_its_file_and_older_ones_are_read(make_run, runs):
    run = make_run(contrast=runs.Shape(median_ms=80.0))
    comparison = compare_run(run)
    write_comparison(run.comparison, comparison)
    assert read_comparison(run.comparison) == comparison
    old = msgspec.json.decode(run.comparison.read_bytes())
    del old["contrast"]
    run.comparison.write_bytes(msgspec.json.encode(old))
    assert read_comparison(run.comparison).contrast is None
