import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from twinserve.analysis import statistics
from twinserve.analysis.comparison import Estimate
from twinserve.analysis.statistics import Finding


def blocks(seed, count=10, rows=120, median=80.0, sigma=0.3, shift=0.02):
    rng = np.random.default_rng(seed)
    levels = median * np.exp(rng.normal(0, shift, count))
    return [level * rng.lognormal(0, sigma, rows) for level in levels]


def test_a_summary_has_type_7_percentiles_and_the_sample_standard_deviation():
    summary = statistics.summarise([np.array([4.0, 1.0]), np.array([3.0, 2.0])])
    assert (summary.count, summary.mean, summary.min, summary.max) == (4, 2.5, 1.0, 4.0)
    assert summary.std == pytest.approx(np.sqrt(5 / 3))
    assert (summary.p50, summary.p95) == (2.5, pytest.approx(3.85))


def test_a_side_without_rows_has_no_summary_and_one_row_no_deviation():
    assert statistics.summarise([np.empty(0)]) is None
    assert statistics.summarise([]) is None
    assert statistics.summarise([np.array([5.0])]).std is None


def test_with_equal_blocks_the_mean_interval_is_the_t_interval_of_the_block_means():
    side = blocks(1)
    means = np.array([block.mean() for block in side])
    interval = statistics.mean_interval(side)
    half = stats.t.ppf(0.975, 9) * stats.sem(means) / means.mean()
    assert interval.estimate == pytest.approx(means.mean())
    assert interval.low == pytest.approx(means.mean() * np.exp(-half))
    assert interval.high == pytest.approx(means.mean() * np.exp(half))


def test_with_unequal_blocks_the_standard_error_agrees_with_the_jackknife():
    rng = np.random.default_rng(2)
    side = [rng.normal(100 + rng.normal(0, 5), 10, size) for size in rng.integers(80, 160, 40)]
    left_out = [np.concatenate(side[:i] + side[i + 1 :]).mean() for i in range(40)]
    jackknife = np.sqrt(39 / 40 * np.sum((left_out - np.mean(left_out)) ** 2))
    interval = statistics.mean_interval(side)
    assert interval.estimate == pytest.approx(np.concatenate(side).mean())
    error = np.log(interval.high / interval.estimate) * interval.estimate / stats.t.ppf(0.975, 39)
    assert error == pytest.approx(jackknife, rel=0.05)


def test_the_difference_of_means_is_welchs_interval_on_the_block_means():
    first, second = blocks(3, count=8), blocks(4, count=13, median=90)
    a, b = ([block.mean() for block in side] for side in (first, second))
    expected = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    found = statistics.difference_of_means(first, second)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_ratio_of_means_is_welchs_interval_on_the_logarithm():
    first, second = blocks(5, count=8), blocks(6, count=13, median=90)
    errors, degrees = [], []
    for side in (first, second):
        means = np.array([block.mean() for block in side])
        errors.append(stats.sem(means) / means.mean())
        degrees.append(len(side) - 1)
    u, v = errors[0] ** 2, errors[1] ** 2
    nu = (u + v) ** 2 / (u**2 / degrees[0] + v**2 / degrees[1])
    factor = np.exp(stats.t.ppf(0.975, nu) * np.sqrt(u + v))
    found = statistics.ratio_of_means(first, second)
    ratio = np.concatenate(first).mean() / np.concatenate(second).mean()
    assert found.estimate == pytest.approx(ratio)
    assert (found.low, found.high) == pytest.approx((ratio / factor, ratio * factor))


def test_the_quantile_interval_of_single_row_blocks_is_clopper_pearsons_with_t_for_z():
    values = np.random.default_rng(7).exponential(size=100)
    size = 99 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 99)) ** 2
    low_p = stats.beta.ppf(0.025, size / 2, size / 2 + 1)
    high_p = stats.beta.ppf(0.975, size / 2 + 1, size / 2)
    found = statistics.quantile_interval([np.array([value]) for value in values], 0.5)
    assert found.estimate == np.median(values)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(values, (low_p, high_p))))


def test_a_slow_block_widens_the_quantile_interval():
    alike = blocks(8, shift=0)
    apart = [block * (1.3 if i % 2 else 1.0) for i, block in enumerate(alike)]
    narrow, wide = (statistics.quantile_interval(side, 0.5) for side in (alike, apart))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_mover_gives_newcombes_published_limits_for_56_of_70_against_48_of_80():
    def wilson(successes, trials):
        ci = stats.binomtest(successes, trials).proportion_ci(method="wilson")
        return Estimate(successes / trials, ci.low, ci.high)

    found = statistics.mover(first=wilson(48, 80), second=wilson(56, 70))
    assert found.estimate == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_a_limit_beyond_the_rows_does_not_exist():
    few = blocks(9, count=6, rows=10)
    assert statistics.quantile_interval(few, 0.95).high is None
    assert statistics.quantile_interval(few, 0.95).low is not None
    difference = statistics.difference_of_quantiles(few, blocks(10), 0.95)
    assert (difference.low, difference.high) == (None, None)


def test_one_block_gives_estimates_and_no_limits():
    one, two = [np.array([1.0, 2.0, 3.0])], [np.array([2.0, 4.0, 6.0])]
    assert statistics.mean_interval(one) == Estimate(2.0, None, None)
    assert statistics.quantile_interval(one, 0.5) == Estimate(2.0, None, None)
    assert statistics.difference_of_means(one, two) == Estimate(2.0, None, None)
    assert statistics.ratio_of_means(one, two) == Estimate(0.5, None, None)
    assert statistics.difference_of_quantiles(one, two, 0.5) == Estimate(2.0, None, None)
    assert statistics.detectable_difference(one, two) is None


def test_sides_that_never_vary_differ_by_exactly_that_much():
    first, second = [np.full(200, 10.0)] * 8, [np.full(200, 12.0)] * 8
    assert statistics.difference_of_means(first, second) == Estimate(2.0, 2.0, 2.0)
    assert statistics.difference_of_quantiles(first, second, 0.5) == Estimate(2.0, 2.0, 2.0)


def test_a_ratio_to_a_mean_of_zero_does_not_exist():
    zeros = [np.zeros(5)] * 6
    assert statistics.ratio_of_means(blocks(11), zeros) is None
    assert statistics.ratio_of_means(zeros, blocks(11)) == Estimate(0.0, None, None)
    assert statistics.mean_interval(zeros) == Estimate(0.0, None, None)


def test_a_block_whose_requests_all_failed_changes_nothing():
    side = blocks(12)
    with_hole = [*side[:4], np.empty(0), *side[4:]]
    assert statistics.mean_interval(with_hole) == statistics.mean_interval(side)
    assert statistics.quantile_interval(with_hole, 0.9) == statistics.quantile_interval(side, 0.9)


@pytest.mark.parametrize(
    ("low", "high", "finding"),
    [
        (-9.0, 9.0, Finding.EQUIVALENT),
        (-10.0, 10.0, Finding.EQUIVALENT),
        (2.0, 8.0, Finding.EQUIVALENT),
        (2.0, 12.0, Finding.FIRST),
        (-12.0, -2.0, Finding.SECOND),
        (-2.0, 12.0, Finding.INCONCLUSIVE),
        (0.0, 12.0, Finding.INCONCLUSIVE),
        (None, 5.0, Finding.UNDETERMINED),
        (None, None, Finding.UNDETERMINED),
    ],
)
def test_a_difference_is_named_by_its_interval_alone(low, high, finding):
    assert statistics.classify(Estimate(1.0, low, high), second=100.0) is finding


def test_fewer_than_six_blocks_tell_nothing():
    assert "6 blocks with rows" in statistics.why_no_mean(blocks(13, count=5))
    assert "there are 5" in statistics.why_no_quantile(blocks(13, count=5), 0.5)
    assert statistics.why_no_mean(blocks(13, count=6)) is None


@pytest.mark.parametrize(("p", "rows"), [(0.5, 100), (0.9, 500), (0.95, 1000), (0.99, 5000)])
def test_a_quantile_needs_50_rows_on_its_thinner_side(p, rows):
    assert statistics.rows_needed(p) == rows
    enough = [np.arange(i, rows, 10, dtype=float) for i in range(10)]
    assert statistics.why_no_quantile(enough, p) is None
    short = [enough[0][:-1], *enough[1:]]
    assert f"needs {rows:,} rows" in statistics.why_no_quantile(short, p)


def test_blocks_that_differ_too_much_leave_a_tail_untold():
    side = [np.full(200, 10.0 + i) + np.arange(200) / 1000 for i in range(6)]
    assert "outside the 1,200 rows" in statistics.why_no_quantile(side, 0.95)


def test_half_the_width_takes_four_times_the_blocks():
    assert statistics.blocks_needed(Estimate(0.0, -10.0, 10.0), 10, 5.0) == 40
    assert statistics.blocks_needed(Estimate(0.0, -10.0, 10.0), 10, 20.0) == 10
    assert statistics.blocks_needed(Estimate(0.0, None, None), 10, 5.0) is None


def test_intervals_hold_the_true_value_about_95_times_in_100():
    """300 seeds: a rate of 0.95 has a standard error of 0.013, the bounds are 3.5 of them away."""
    true = {"mean": 80 * np.exp(0.3**2 / 2 + 0.02**2 / 2), "p50": 80.0, "difference": 0.0}
    held = dict.fromkeys(true, 0)
    for seed in range(300):
        side, other = blocks(seed), blocks(10_000 + seed)
        found = {
            "mean": statistics.mean_interval(side),
            "p50": statistics.quantile_interval(side, 0.5),
            "difference": statistics.difference_of_quantiles(side, other, 0.5),
        }
        for name, interval in found.items():
            held[name] += interval.low <= true[name] <= interval.high
    for name, times in held.items():
        assert 0.905 <= times / 300 <= 0.995, (name, times / 300)


def test_the_detectable_difference_is_seen_about_95_times_in_100():
    sizes = [statistics.detectable_difference(blocks(s), blocks(5000 + s)) for s in range(100)]
    shift = float(np.mean(sizes))
    seen = 0
    for seed in range(300):
        second = [block + shift for block in blocks(5000 + seed)]
        seen += statistics.difference_of_means(blocks(seed), second).low > 0
    assert 0.90 <= seen / 300 <= 0.995


SIDE = st.tuples(
    st.integers(0, 10_000), st.integers(6, 12), st.integers(20, 60), st.floats(1.0, 1000.0)
).map(lambda drawn: blocks(drawn[0], count=drawn[1], rows=drawn[2], median=drawn[3]))
INTERVALS = {
    "mean": statistics.difference_of_means,
    "p50": lambda a, b: statistics.difference_of_quantiles(a, b, 0.5),
    "p90": lambda a, b: statistics.difference_of_quantiles(a, b, 0.9),
}


@settings(max_examples=40, deadline=None)
@given(SIDE, SIDE, st.sampled_from(sorted(INTERVALS)))
def test_swapping_the_sides_flips_the_interval(first, second, name):
    forth, back = INTERVALS[name](first, second), INTERVALS[name](second, first)
    assert back.estimate == pytest.approx(-forth.estimate)
    assert (back.low is None) == (forth.high is None)
    if forth.low is not None:
        assert (-back.high, -back.low) == pytest.approx((forth.low, forth.high))


@settings(max_examples=40, deadline=None)
@given(SIDE, SIDE, st.floats(0.01, 100.0), st.sampled_from(sorted(INTERVALS)))
def test_another_unit_scales_the_difference_and_leaves_the_ratio(first, second, unit, name):
    scaled = [[unit * block for block in side] for side in (first, second)]
    plain, other = INTERVALS[name](first, second), INTERVALS[name](*scaled)
    assert other.estimate == pytest.approx(unit * plain.estimate, rel=1e-6, abs=1e-9)
    if plain.low is not None:
        assert other.low == pytest.approx(unit * plain.low, rel=1e-6, abs=1e-9)
    ratios = [statistics.ratio_of_means(*sides).high for sides in ((first, second), scaled)]
    assert ratios[0] == pytest.approx(ratios[1])


@settings(max_examples=40, deadline=None)
@given(SIDE, st.floats(0.05, 0.95))
def test_an_estimate_lies_inside_its_interval_and_more_confidence_is_wider(side, p):
    for interval_of in (
        lambda c: statistics.mean_interval(side, c),
        lambda c: statistics.quantile_interval(side, p, c),
        lambda c: statistics.ratio_of_means(side, side[:-1], c),
    ):
        narrow, wide = interval_of(0.8), interval_of(0.95)
        assert narrow.low is None or narrow.low <= narrow.estimate
        assert narrow.high is None or narrow.estimate <= narrow.high
        assert None in (wide.low, narrow.low) or wide.low <= narrow.low
        assert None in (wide.high, narrow.high) or narrow.high <= wide.high
