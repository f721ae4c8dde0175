"""What to change first: the change that takes most off p95, and none that was not calibrated."""

from __future__ import annotations

import pytest

from twinserve.analysis.causes.advice import Tried, advise
from twinserve.deployment import Deployment, Kind


def side(predict, *, measured_ms=100.0, least=1, seen=80, had_cold=False, **settings):
    deployment = Deployment("kettle", Kind.CONTAINER, "m", **({"max_instances": 1} | settings))
    return Tried(deployment, predict, measured_ms, least, seen, had_cold)


def by_concurrency(best):
    """p95 is 40 ms at ``best`` requests at a time, 100 ms otherwise."""
    return lambda deployment: 40.0 if deployment.concurrency == best else 100.0


def test_the_change_is_told_with_the_gain_that_the_simulation_predicts():
    change, said = advise({"kettle": side(by_concurrency(8))}, {})
    assert (change.change, change.before_ms, change.after_ms) == (
        "concurrency 8 instead of 80", 100.0, 40.0,
    )  # fmt: skip
    assert "with concurrency 8 instead of 80, p95 falls from 100 ms to 40 ms (60 %)" in said


def test_of_changes_that_do_about_the_same_the_cheaper_one_is_advised():
    def predict(deployment):
        if deployment.max_instances > 1:
            return 38.0
        return 40.0 if deployment.concurrency == 1 else 100.0

    assert advise({"kettle": side(predict)}, {})[0].change == "concurrency 1 instead of 80"


def test_the_larger_gain_of_the_two_sides_goes_first():
    def more(deployment):
        return 100.0 / deployment.max_instances

    small = side(lambda d: 1.4 * more(d) if d.max_instances > 2 else 100.0)
    change, _ = advise({"kettle": small, "toaster": side(more)}, {})
    assert (change.side, change.change) == ("toaster", "up to 4 instances instead of 1")


def test_an_instance_is_kept_only_where_requests_met_cold_starts():
    def predict(deployment):
        return 20.0 if deployment.min_instances else 100.0

    assert advise({"kettle": side(predict)}, {})[0] is None
    change, _ = advise({"kettle": side(predict, had_cold=True)}, {})
    assert change.change == "one instance kept at all times (min_instances 1)"


def test_a_simulation_that_misses_the_run_predicts_nothing_and_says_so():
    change, said = advise({"kettle": side(by_concurrency(8), measured_ms=200.0)}, {})
    assert change is None
    assert "a p95 of 100 ms where the run had 200 ms" in said


def test_more_at_a_time_than_the_run_has_seen_is_not_tried():
    tried = []

    def predict(deployment):
        tried.append(deployment.concurrency)
        return 100.0

    advise({"kettle": side(predict, concurrency=4, seen=8)}, {})
    assert max(tried) == 8
    assert set(tried) == {1, 2, 4, 8}


def test_fewer_at_a_time_than_the_run_has_seen_are_neither_tried_nor_predicted():
    change, said = advise({"kettle": side(by_concurrency(1), least=8, seen=8)}, {})
    assert change is None
    assert "nearly all its requests met 8 or more at a time" in said


@pytest.mark.parametrize(
    ("uncalibrated", "says"),
    [
        ({}, "No single setting takes 10 %"),
        ({"toaster": "no cold start"}, "toaster: no cold start"),
    ],
)
def test_without_a_gain_the_sentence_says_why(uncalibrated, says):
    change, said = advise({"kettle": side(lambda _: 100.0)}, uncalibrated)
    assert change is None
    assert says in said
