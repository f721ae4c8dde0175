"""Causes that are planted in a run are named with their numbers, absent ones are not."""

from __future__ import annotations

import polars as pl
import pytest

from twinserve.analysis.causes.values import Finding
from twinserve.analysis.compare import compare_run
from twinserve.records.manifest import read_manifest, write_manifest

NAMED, ABSENT, UNKNOWN = Finding.NAMED, Finding.ABSENT, Finding.UNKNOWN


def causes_of(run):
    return {cause.name: cause for cause in compare_run(run).causes.causes}


def findings_of(run):
    return {name: cause.finding for name, cause in causes_of(run).items()}


def quotas(run, side, *, threads, throttled, held_usec):
    """Give a side's instances a CPU quota of 1, used up in so many of ten periods a second."""
    rows = pl.read_csv(run.resources)
    own = pl.col("side") == side
    rows.with_columns(
        threads=pl.when(own).then(threads).otherwise(1),
        cpu_limit=pl.lit(1.0),
        nr_periods=pl.lit(10),
        nr_throttled=pl.when(own).then(throttled).otherwise(0),
        throttled_usec=pl.when(own).then(held_usec).otherwise(0),
    ).write_csv(run.resources)


def test_of_a_plain_run_nothing_is_named_and_each_cause_was_looked_for(plant, runs):
    run = plant({"container": {}, "function": {}}, shapes=(runs.Shape(100.0), runs.Shape(99.0)))
    found = findings_of(run)
    assert NAMED not in found.values()
    assert {n for n, f in found.items() if f is ABSENT} == {
        "queueing", "cold starts", "sharing the CPU", "network", "server and way", "payload",
        "drift",
    }  # fmt: skip
    assert {n for n, f in found.items() if f is UNKNOWN} == {"settings", "CPU throttling"}


@pytest.mark.parametrize(
    ("shares", "name", "says"),
    [
        ({"queue_ms": 0.4}, "queueing", "(40 %) for a place on an instance (up to 100 instances"),
        ({"instance_queue_ms": 0.4}, "queueing", "(40 %) inside an instance for their turn at the"),
        ({"connected_us": 0.3}, "network", "of the function's time (30 %)"),
        ({"encode_ms": 0.3}, "payload", "3.0 kB of an answer that asking for image/png"),
    ],
)
def test_a_stage_that_takes_a_good_part_of_a_sides_time_is_named(plant, shares, name, says):
    causes = causes_of(plant({"container": {}, "function": shares}))
    assert causes[name].finding is NAMED
    assert says in causes[name].sentence
    assert [n for n, cause in causes.items() if cause.finding is NAMED] == [name]


def test_its_share_of_the_difference_is_told_with_its_sign(plant, runs):
    shapes = (runs.Shape(100.0), runs.Shape(150.0))
    run = plant({"container": {}, "function": {"queue_ms": 0.4}}, shapes=shapes)
    queueing = causes_of(run)["queueing"]
    assert queueing.of_difference == pytest.approx(60 / 50, rel=0.1)
    assert "alone it would make 1.2 times the difference that the means have" in queueing.sentence
    against = plant(
        {"container": {}, "function": {"queue_ms": 0.4}},
        shapes=(runs.Shape(150.0), runs.Shape(100.0)),
        path=run.path / "against",
    )
    assert "it works against the difference" in causes_of(against)["queueing"].sentence


def test_cold_starts_are_counted_with_what_each_cost(plant, runs):
    shapes = (runs.Shape(100.0), runs.Shape(100.0, cold_rows=12))
    cold = causes_of(plant(shapes=shapes))["cold starts"]
    assert cold.finding is NAMED
    assert cold.sentence.startswith("120 requests of the function (")
    assert "about 5" in cold.sentence  # half of 100 ms each: tests/runs.py


def test_throttled_instances_and_their_threads_are_named(plant):
    run = plant({"container": {}, "function": {}})
    quotas(run, "function", threads=8, throttled=6, held_usec=400_000)
    causes = causes_of(run)
    assert causes["CPU throttling"].finding is NAMED
    assert "the function used up its CPU quota in 60 % of the periods" in (
        causes["CPU throttling"].sentence
    )
    assert "the container hardly ever" in causes["CPU throttling"].sentence.lower()
    assert causes["CPU throttling"].shares["function"] == pytest.approx(0.4, abs=0.1)
    assert causes["threads against quota"].finding is NAMED
    assert "its 8 threads had 1 CPU" in causes["threads against quota"].sentence


def test_a_quota_that_is_never_used_up_names_nobody(plant):
    run = plant({"container": {}, "function": {}})
    quotas(run, "function", threads=8, throttled=0, held_usec=0)
    found = findings_of(run)
    assert found["CPU throttling"] is found["threads against quota"] is ABSENT


def test_requests_that_share_a_busy_cpu_wait_for_it(make_run):
    run = make_run(rows=60, users=4)
    assert causes_of(run)["sharing the CPU"].finding is ABSENT  # of a hundred instances
    manifest = read_manifest(run.manifest)
    manifest.deployments = {n: d.with_at_most(1) for n, d in manifest.deployments.items()}
    write_manifest(run.manifest, manifest)
    shared = causes_of(run)["sharing the CPU"]
    assert shared.finding is NAMED
    assert "3.9 requests at a time keep the container's CPU 96 % busy" in shared.sentence
    assert shared.shares["container"] == pytest.approx(0.7, abs=0.1)


def test_drift_is_named_by_its_gate(plant, runs):
    shapes = (runs.Shape(100.0), runs.Shape(100.0, drift=0.8))
    drift = causes_of(plant(shapes=shapes))["drift"]
    assert drift.finding is NAMED
    assert "Not steady" in drift.sentence


def test_the_contrast_names_settings_and_serving_stack_apart(plant, runs):
    shapes = (runs.Shape(100.0), runs.Shape(60.0))
    causes = causes_of(plant(shapes=shapes, contrast=runs.Shape(61.0)))
    assert causes["settings"].finding is NAMED
    assert causes["settings"].of_difference == pytest.approx(1.0, abs=0.1)
    assert causes["serving stack"].finding is ABSENT


def test_named_causes_stand_first_the_largest_at_the_head_and_in_the_verdict(plant):
    comparison = compare_run(
        plant({"container": {}, "function": {"queue_ms": 0.5, "connected_us": 0.15}})
    )
    names = [cause.name for cause in comparison.causes.causes]
    assert names[:2] == ["queueing", "network"]
    why = [reason for reason in comparison.verdict.reasons if reason.startswith("Why, ")]
    assert [reason.partition(":")[0] for reason in why] == ["Why, queueing", "Why, network"]
