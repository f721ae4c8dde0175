"""When requests are due: counts, gaps and rates against what theory says of them."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from twinserve.workload import Bursts, Constant, Day, OpenLoop, Poisson, Trace
from twinserve.workload.arrivals import due_stream, due_times, user_starts_s

ALPHA = 1e-3
BURSTS = Bursts(rate_rps=2, burst_rps=20, every_s=5, lasts_s=1)
DAY = Day(rate_rps=4, day_s=240, hours=tuple(range(24)), week=(1, 1, 1, 1, 1, 0.5, 0))
TRACE = Trace(file="t", times_s=(0.0, 0.5, 0.5, 3.0, 9.0))
ALL = (Constant(rate_rps=7), Poisson(rate_rps=7), BURSTS, DAY, TRACE)


def times(arrivals: OpenLoop, seconds: float, seed: int = 1) -> np.ndarray:
    return due_times(arrivals, seconds, np.random.default_rng(seed))


@pytest.mark.parametrize("arrivals", ALL)
def test_a_seed_gives_the_same_times_again(arrivals: OpenLoop) -> None:
    assert np.array_equal(times(arrivals, 60), times(arrivals, 60))


@pytest.mark.parametrize("arrivals", (Poisson(rate_rps=7), BURSTS, DAY))
def test_another_seed_gives_other_times(arrivals: OpenLoop) -> None:
    assert not np.array_equal(times(arrivals, 60), times(arrivals, 60, seed=2))


@pytest.mark.parametrize("arrivals", ALL)
@given(short=st.floats(0.1, 50), more=st.floats(0, 400))
@settings(max_examples=25, deadline=None)
def test_a_longer_list_begins_with_the_shorter_one(
    arrivals: OpenLoop, short: float, more: float
) -> None:
    few, many = times(arrivals, short), times(arrivals, short + more)
    assert np.array_equal(many[: few.size], few)
    assert np.all(np.diff(many) >= 0)
    assert not many.size or 0 <= many[0] <= many[-1] < short + more


def test_constant_arrivals_are_evenly_spaced_from_the_begin() -> None:
    assert times(Constant(rate_rps=4), 1.1).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_gaps_of_poisson_arrivals_are_exponential_and_independent() -> None:
    gaps = np.diff(times(Poisson(rate_rps=50), 400))
    assert stats.kstest(gaps, stats.expon(scale=1 / 50).cdf).pvalue > ALPHA
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / np.sqrt(gaps.size)


def test_counts_of_poisson_arrivals_have_a_poisson_distribution() -> None:
    counts = np.bincount(times(Poisson(rate_rps=3), 5000).astype(int), minlength=5000)
    seen = np.bincount(np.minimum(counts, 9), minlength=10)
    expected = 5000 * np.append(stats.poisson(3).pmf(range(9)), stats.poisson(3).sf(8))
    assert stats.chisquare(seen, expected).pvalue > ALPHA


def test_bursts_come_at_the_begin_of_each_period_at_their_rate() -> None:
    at = times(BURSTS, 5000) % 5
    in_burst = int((at < 1).sum())
    for seen, expected in ((in_burst, 20 * 1000), (at.size - in_burst, 2 * 4000)):
        assert abs(seen - expected) < 4 * np.sqrt(expected)


def test_between_bursts_there_may_be_silence() -> None:
    at = times(Bursts(rate_rps=0, burst_rps=10, every_s=10, lasts_s=2), 1000)
    assert at.size > 1500
    assert np.all(at % 10 < 2)


def test_a_day_follows_its_hours_and_its_weekdays() -> None:
    weeks = 20
    at = times(DAY, weeks * 7 * 240)
    hours = np.bincount((at % 240 // 10).astype(int), minlength=24)
    days = np.bincount((at % (7 * 240) // 240).astype(int), minlength=7)
    for seen, weights in ((hours, np.arange(24)), (days, np.array(DAY.week))):
        expected = at.size * weights / weights.sum()
        busy = expected > 0
        assert not seen[~busy].any()
        assert stats.chisquare(seen[busy], expected[busy]).pvalue > ALPHA
    assert abs(at.size - 4 * weeks * 7 * 240) < 4 * np.sqrt(at.size)


def test_the_hours_of_the_usual_day_average_to_its_rate() -> None:
    at = times(Day(rate_rps=0.5), 7 * 86_400)
    assert abs(at.size / (7 * 86_400) - 0.5) < 4 * np.sqrt(at.size) / (7 * 86_400)


def test_a_trace_is_played_as_it_stands() -> None:
    assert times(TRACE, 5).tolist() == [0.0, 0.5, 0.5, 3.0]


def test_nothing_is_due_at_a_rate_of_zero() -> None:
    assert not times(Bursts(rate_rps=0, burst_rps=0, every_s=2, lasts_s=1), 100).size


@pytest.mark.parametrize("arrivals", ALL)
def test_the_stream_is_the_list_in_chunks(arrivals: OpenLoop) -> None:
    stream = np.concatenate(list(islice(due_stream(arrivals, np.random.default_rng(1)), 3)))
    listed = times(arrivals, float(stream[-1]))
    assert np.array_equal(stream[: listed.size], listed)
    assert listed.size >= stream.size - 1 or arrivals is TRACE


def test_users_start_evenly_over_the_ramp() -> None:
    assert user_starts_s(4, 2.0) == [0.0, 0.5, 1.0, 1.5]
    assert user_starts_s(3, 0.0) == [0.0, 0.0, 0.0]
