"""Standard errors from blocks, and whatever odd values come in: numbers or undetermined."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinserve.analysis import effects, service_level, statistics
from twinserve.analysis.comparison import Estimate
from twinserve.analysis.estimators import Rows, mean_of, share_limits
from twinserve.analysis.sequential import Plan
from twinserve.analysis.service_level import Served
from twinserve.analysis.statistics import Finding

ODD = st.sampled_from([0.0, 1.0, 7.5, 1e-300, 5e-324, 1e150, 1e300, 1.7e308])
VALUE = st.one_of(ODD, st.floats(0.0, 1e6, allow_nan=False))
DRAWN = st.tuples(
    st.lists(VALUE, min_size=1, max_size=4), st.integers(1, 10), st.integers(1, 30), st.integers(0)
)


def blocks_of(drawn) -> list[np.ndarray]:
    """Blocks of none to so many rows each, made of a few values; the first one has a row."""
    values, blocks, rows, seed = drawn
    rng = np.random.default_rng(seed)
    sizes = [1, *rng.integers(0, rows + 1, blocks - 1)]
    return [rng.choice(np.array(values), size) for size in sizes]


SIDE = DRAWN.map(blocks_of)
ALL_OF_TWO = {
    "difference of means": statistics.difference_of_means,
    "ratio of means": statistics.ratio_of_means,
    "difference of medians": lambda a, b, c=0.95: statistics.difference_of_quantiles(a, b, 0.5, c),
    "difference of p95": lambda a, b, c=0.95: statistics.difference_of_quantiles(a, b, 0.95, c),
    "ratio of medians": lambda a, b, c=0.95: statistics.ratio_of_quantiles(a, b, 0.5, c),
    "ratio of p95": lambda a, b, c=0.95: statistics.ratio_of_quantiles(a, b, 0.95, c),
    "effect size": effects.standardised_difference,
    "superiority": effects.superiority,
}


def is_sound(found: Estimate | None) -> bool:
    """None, or a number whose limits, where there are any, are numbers around it."""
    if found is None:
        return True
    tolerance = 1e-9 * abs(found.estimate)
    return (
        math.isfinite(found.estimate)
        and (found.low is None or found.low <= found.estimate + tolerance)
        and (found.high is None or found.high >= found.estimate - tolerance)
        and all(limit is None or math.isfinite(limit) for limit in (found.low, found.high))
    )


@settings(max_examples=120, deadline=None, derandomize=True)
@given(SIDE, SIDE, st.sampled_from(sorted(ALL_OF_TWO)), st.sampled_from([0.8, 0.95, 0.999999]))
def test_whatever_comes_in_a_comparison_is_a_number_or_undetermined(a, b, name, confidence):
    assert is_sound(ALL_OF_TWO[name](a, b, confidence))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIDE, st.sampled_from([0.5, 0.9, 0.99]))
def test_whatever_comes_in_a_side_is_a_number_or_undetermined(side, p):
    assert is_sound(statistics.mean_interval(side))
    assert is_sound(statistics.quantile_interval(side, p))
    summary = statistics.summarise(side)
    assert summary.min <= summary.p50 <= summary.p95 <= summary.max
    assert summary.std is None or summary.std >= 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIDE, st.integers(0, 3), st.sampled_from([0.0, 5e-324, 2.5, 1e300]))
def test_whatever_comes_in_a_service_level_lies_where_it_can(side, failed, seconds):
    blocks = [Served(block, failed, seconds) for block in side]
    for share in (service_level.apdex(blocks), service_level.share_within(blocks)):
        assert is_sound(share)
        assert share is None or 0 <= share.estimate <= 1
        assert share is None or share.low is None or 0 <= share.low <= share.high <= 1
    assert is_sound(service_level.goodput(blocks))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIDE, SIDE)
def test_too_few_blocks_or_rows_are_never_a_finding(a, b):
    """What the rules leave undetermined stops no run, and an interval without limits no verdict."""
    plan = Plan(0.99, (len(a),))
    if statistics.why_no_quantile(a, 0.95) or statistics.why_no_quantile(b, 0.95):
        assert not plan.should_stop(a, b)
    nothing = Estimate(1.0, None, None)
    assert statistics.classify(nothing, 1.0) is Finding.UNDETERMINED


@settings(max_examples=40, deadline=None, derandomize=True)
@given(VALUE, st.integers(6, 12), st.integers(1, 300))
def test_equal_constants_never_name_a_winner(value, blocks, rows):
    side = [np.full(rows, value)] * blocks
    for name in ("difference of means", "difference of medians", "difference of p95"):
        found = statistics.classify(ALL_OF_TWO[name](side, side), value)
        assert found in (Finding.EQUIVALENT, Finding.UNDETERMINED)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from([1e-200, 1e-3, 1e6, 1e200]))
def test_tiny_and_huge_values_have_the_relative_error_of_usual_ones(seed, unit):
    side = list(np.random.default_rng(seed).lognormal(0, 0.3, (8, 50)))
    usual, other = mean_of(side), mean_of([unit * block for block in side])
    assert other.error / unit == pytest.approx(usual.error, rel=1e-6)
    assert other.estimate / unit == pytest.approx(usual.estimate, rel=1e-6)


def test_quantiles_are_numpys_own():
    values = np.random.default_rng(1).exponential(size=997)
    rows = Rows([values[:400], values[400:]])
    for p in (0.0, 0.013, 0.5, 0.95, 0.999, 1.0):
        assert rows.at(p) == pytest.approx(np.quantile(values, p))


def test_a_share_without_any_failure_is_limited_by_the_rule_of_three():
    """1 - 0.025^(1/n) is Clopper and Pearson's upper limit after n rows without a failure."""
    low, high = share_limits(1.0, 0.0, 2.0, 0.95, alike=300)
    assert high == 1.0
    assert low == pytest.approx(0.025 ** (1 / 300))
