"""What a plan says that it can see is what such runs see."""

import numpy as np
import pytest

from twinserve.analysis import statistics
from twinserve.analysis.comparison import Difference, Estimate
from twinserve.analysis.past import read_past
from twinserve.analysis.planning import (
    Spread,
    assumed_spread,
    detectable_before,
    expected_rows,
    precision,
    spread_of,
)
from twinserve.workload import ClosedLoop, Constant, Workload


def side(seed, blocks=10, rows=300, shift=0.05, level=1.0):
    rng = np.random.default_rng(seed)
    return [level * rng.lognormal(rng.normal(0, shift), 0.3, rows) for _ in range(blocks)]


def workload(arrivals, block_s=3.0):
    return Workload(
        profile="quick", arrivals=arrivals, blocks=10, block_s=block_s, warmup_s=1.0, seed=0
    )


@pytest.mark.parametrize(("statistic", "p"), [("mean", None), ("p50", 0.5), ("p95", 0.95)])
def test_on_the_host_that_is_assumed_the_plan_sees_what_it_says(statistic, p):
    """95 % of 200 runs see it; fewer than 181 or all would be beyond chance (1 in 100)."""
    found = detectable_before(10, 300, assumed_spread(300), statistic)
    factor = 1 + found.difference
    seen = 0
    for seed in range(200):
        first, second = side(2 * seed), side(2 * seed + 1, level=factor)
        if p is None:
            difference = statistics.difference_of_means(first, second)
        else:
            difference = statistics.difference_of_quantiles(first, second, p)
        seen += difference.low is not None and difference.low > 0
    assert 181 <= seen <= 199


def test_it_is_said_in_a_sentence_with_its_assumption():
    said = detectable_before(10, 300, assumed_spread(300)).described()
    assert said == (
        "Detectable: 11 % in p95 (10 blocks a side of about 300 rows; assumed is a quiet host, on "
        "which times vary by 30 % and blocks by 5 %)."
    )


def test_a_plan_that_is_too_short_is_undetermined():
    few_rows = detectable_before(10, 30, assumed_spread(30))
    assert few_rows.difference is None
    assert few_rows.described() == (
        "Detectable in p95: undetermined; it needs 1,000 rows a side, the plan expects 300."
    )
    few_blocks = detectable_before(5, 300, assumed_spread(300), "mean")
    assert "6 blocks a side are needed, the plan has 5" in few_blocks.described()


def test_where_nobody_knows_the_rows_as_many_are_taken_as_the_statistic_needs():
    found = detectable_before(10, None, assumed_spread(100))
    assert found.difference == detectable_before(10, 100, assumed_spread(100)).difference
    assert "100 or more rows" in found.why


def test_more_blocks_see_more_and_more_rows_in_a_block_no_more_than_was_shown():
    spread = spread_of(side(1), side(2))
    sizes = [detectable_before(blocks, 300, spread).difference for blocks in (6, 10, 20, 40)]
    assert sizes == sorted(sizes, reverse=True)
    usual = detectable_before(10, 300, spread).difference
    assert detectable_before(10, 3000, spread).difference == usual
    assert detectable_before(10, 150, spread).difference > usual


def test_a_past_run_tells_the_spread_of_its_noisier_side():
    quiet, loud = side(3, blocks=40, shift=0.02), side(4, blocks=40, shift=0.2)
    found = spread_of(quiet, loud)
    assert found == spread_of(loud, quiet)
    assert found.rows == 300
    assert found.by_statistic["p50"] == pytest.approx(0.2, rel=0.3)


def test_what_a_past_run_cannot_tell_is_undetermined():
    short = [np.array([1.0, 2.0])] * 2
    spread = spread_of(short, short)
    assert detectable_before(10, 300, spread).difference is None
    assert "the spread of the run given does not tell" in detectable_before(10, 300, spread).why
    assert spread_of([], []) == Spread(0.0, {}, spread.basis)


def test_rows_come_from_the_rate_or_from_how_long_an_answer_takes():
    assert expected_rows(workload(Constant(rate_rps=20.0))) == pytest.approx(60)
    closed = workload(ClosedLoop(users=4, think_s=0.1))
    assert expected_rows(closed) is None
    assert expected_rows(closed, response_s=0.3) == pytest.approx(30)


def test_precision_says_how_well_each_difference_is_known():
    first, second = side(5), side(6)
    told = {
        "mean": statistics.difference_of_means(first, second),
        "p50": statistics.difference_of_quantiles(first, second, 0.5),
        "p95": Estimate(0.0, None, None),
    }
    found = precision(first, second, Difference(**told, ratio_of_means=None, confidence=0.95))
    assert found["mean"].blocks == 10
    assert 0 < found["mean"].half_width < found["mean"].detectable < 0.2
    widths = found["p50"].blocks_for
    assert list(widths) == ["10", "5", "2", "1"]
    assert widths["1"] >= 3.9 * widths["2"] > 10
    assert (found["p95"].half_width, found["p95"].blocks_for) == (None, {})


def test_a_run_of_the_past_tells_its_spread_and_how_long_answers_take(make_run):
    past = read_past(make_run())
    assert past.unit == "block"
    assert past.response_s == pytest.approx(0.103, rel=0.05)  # the slower side's
    assert set(past.spread.by_statistic) == {"mean", "p50", "p95"}
    found = detectable_before(10, past.spread.rows, past.spread)
    assert 0.01 < found.difference < 0.3
    assert "the spread of " in found.why
