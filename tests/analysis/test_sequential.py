"""Runs that may stop early keep their error rate, because their looks are planned."""

import numpy as np
import pytest

from twinserve.analysis.sequential import Plan, planned
from twinserve.analysis.statistics import difference_of_quantiles
from twinserve.errors import UsageError


def side(seed, blocks, rows=200, level=1.0, shift=0.05):
    rng = np.random.default_rng(seed)
    return [level * rng.lognormal(rng.normal(0, shift), 0.3, rows) for _ in range(blocks)]


@pytest.mark.parametrize(
    ("blocks", "looks"),
    [(6, (6,)), (10, (10,)), (13, (13,)), (20, (10, 15, 20)), (40, (10, 18, 25, 32, 40))],
)
def test_looks_are_few_and_the_last_one_is_the_end_of_the_run(blocks, looks):
    assert planned(0.05, blocks).looks == looks


def test_each_look_takes_its_share_of_the_error_rate():
    plan = planned(0.05, 40)
    assert plan.look_confidence == pytest.approx(0.99)
    first, second = side(1, 10), side(2, 10)
    assert plan.interval(first, second) == difference_of_quantiles(first, second, 0.95, 0.99)


def test_a_run_stops_when_half_the_interval_is_within_the_target():
    first, second = side(3, 10), side(4, 10)
    width = planned(0.5, 40).half_width(first, second)
    assert planned(width * 1.01, 40).should_stop(first, second)
    assert not planned(width * 0.99, 40).should_stop(first, second)


def test_no_run_stops_between_looks_or_within_a_pair():
    plan = planned(0.9, 20)
    first, second = side(5, 20), side(6, 20)
    stops = [n for n in range(1, 21) if plan.should_stop(first[:n], second[:n])]
    assert stops == [10, 15, 20]
    assert not plan.should_stop(first[:10], second[:9])


def test_what_is_undetermined_stops_no_run():
    plan = Plan(0.9, (5, 6))
    assert not plan.should_stop(side(7, 5), side(8, 5))
    assert not plan.should_stop(side(7, 6, rows=20), side(8, 6, rows=20))
    assert plan.should_stop(side(7, 6), side(8, 6))
    nothing = [np.empty(0)] * 6
    assert not plan.should_stop(nothing, side(8, 6))
    zeros = [np.zeros(200)] * 6
    assert not plan.should_stop(zeros, zeros)


def test_the_mean_may_be_looked_at_in_place_of_a_quantile():
    plan = planned(0.9, 10, p=None)
    assert plan.should_stop(side(9, 10, rows=5), side(10, 10, rows=5))


@pytest.mark.parametrize("target", [0.0, -0.1, 1.0, float("nan")])
def test_a_target_that_is_no_share_is_refused(target):
    with pytest.raises(UsageError, match=r"--until is .*such as 5%"):
        planned(target, 20)


def test_a_run_too_short_for_an_interval_is_refused():
    with pytest.raises(UsageError, match="at least 6 blocks a side, the plan has 5"):
        planned(0.05, 5)
    with pytest.raises(UsageError, match="must ascend"):
        Plan(0.05, (10, 10))


def test_stopping_early_seldom_finds_a_difference_where_there_is_none():
    """At most 5 % of such runs may; of 200 more than 18 would be beyond chance (1 in 100)."""
    plan = planned(0.08, 20, p=0.5)
    wrong = stopped = 0
    for seed in range(200):
        first, second = side(2 * seed, 20, rows=50), side(2 * seed + 1, 20, rows=50)
        at = next((n for n in plan.looks if plan.should_stop(first[:n], second[:n])), 20)
        found = plan.interval(first[:at], second[:at])
        wrong += found.low > 0 or found.high < 0
        stopped += at < 20
    assert wrong <= 18
    assert 20 < stopped < 200
