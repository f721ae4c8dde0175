"""The search for the highest rate, against a queue whose answer is known."""

import math

import numpy as np
import pytest
from scipy import stats

from twinserve.analysis.rates import (
    MOST_LOADS,
    Outcome,
    RateObjective,
    Rates,
    Search,
    format_rates,
    judge,
    read_rates,
    requests_needed,
    write_rates,
)
from twinserve.errors import RecordError

SERVED_RPS = 20.0
LIMIT_S = 0.5
# M/M/1: times in the system are exponential with rate mu - lambda, so p95 < limit up to here.
TRUE_RPS = SERVED_RPS - math.log(20) / LIMIT_S


def blocks_of(slow: int, requests: int = 1000) -> list[tuple[int, int]]:
    return [(slow // 2, requests // 2)] * 2


def queue_blocks(
    rate_rps: float, rng: np.random.Generator, seconds: float = 60.0
) -> list[tuple[int, int]]:
    """A single server with exponential service times, empty at first, in ten blocks by due time."""
    count = rng.poisson(rate_rps * seconds)
    due = np.sort(rng.uniform(0, seconds, count))
    done, busy_until = np.empty(count), 0.0
    for i, (at, service) in enumerate(
        zip(due, rng.exponential(1 / SERVED_RPS, count), strict=True)
    ):
        busy_until = max(at, busy_until) + service
        done[i] = busy_until
    slow = done - due > LIMIT_S
    place = np.minimum((due / seconds * 10).astype(int), 9)
    return [(int(slow[place == k].sum()), int((place == k).sum())) for k in range(10)]


def searched(seed: int) -> Search:
    rng = np.random.default_rng(seed)
    search = Search(first_rps=5.0, allowed=0.05)
    while (rate := search.next_rps()) is not None:
        search.add(rate, queue_blocks(rate, rng))
    return search


def test_the_bracket_holds_the_true_limit_of_a_queue() -> None:
    found = [searched(seed).result() for seed in range(40)]
    held = [
        (f.highest_met_rps or 0) <= TRUE_RPS <= (f.lowest_missed_rps or math.inf) for f in found
    ]
    # At 95 % fewer than 34 of 40 happen in under 1 % of cases.
    assert sum(held) >= stats.binom.ppf(0.01, 40, 0.95)
    told = [f for f in found if f.highest_met_rps and f.lowest_missed_rps]
    assert len(told) >= 36
    assert np.median([f.highest_met_rps for f in told]) > 0.6 * TRUE_RPS
    assert np.median([f.lowest_missed_rps for f in told]) < 1.5 * TRUE_RPS
    assert max(sum(t.loads for t in f.trials) for f in found) <= MOST_LOADS


def test_a_share_is_judged_by_its_limits() -> None:
    assert judge([(0, 30)] * 6, 0.05)[2] is Outcome.MET
    assert judge([(20, 30)] * 6, 0.05)[2] is Outcome.MISSED
    assert judge([(1, 20), (2, 20), (0, 20)], 0.05)[2] is Outcome.UNCLEAR
    assert judge([], 0.05)[2] is Outcome.UNCLEAR


def test_slow_requests_in_one_heap_are_worth_less_than_scattered_ones() -> None:
    heap = judge([(60, 60), *[(0, 60)] * 9], 0.05)
    scattered = judge([(6, 60)] * 10, 0.05)
    assert heap[0] < scattered[0]
    assert heap[2] is Outcome.UNCLEAR


def test_so_many_fast_requests_are_needed_and_one_fewer_is_too_few() -> None:
    needed = requests_needed(0.05)
    assert judge([(0, needed)], 0.05)[2] is Outcome.MET
    assert judge([(0, needed - 1)], 0.05)[2] is Outcome.UNCLEAR


def test_a_side_that_never_misses_ends_at_the_highest_rate() -> None:
    search = Search(first_rps=10.0, allowed=0.05, most_rps=100.0)
    while (rate := search.next_rps()) is not None:
        search.add(rate, blocks_of(slow=0))
    found = search.result()
    assert (found.highest_met_rps, found.lowest_missed_rps) == (100.0, None)
    assert "100 requests a second is where the search ends" in found.why


def test_a_side_that_always_misses_is_told_so() -> None:
    search = Search(first_rps=1.0, allowed=0.05)
    while (rate := search.next_rps()) is not None:
        search.add(rate, blocks_of(slow=900))
    found = search.result()
    assert found.highest_met_rps is None
    assert found.lowest_missed_rps == pytest.approx(0.0625, rel=0.01)


def test_a_met_rate_above_a_missed_one_does_not_count() -> None:
    search = Search(first_rps=1.0, allowed=0.05)
    for rate, slow in ((4.0, 0), (4.0, 0), (8.0, 900), (16.0, 0), (16.0, 0)):
        search.add(rate, blocks_of(slow))
    assert search.result().highest_met_rps == 4.0


def test_what_stopped_the_search_is_said(tmp_path) -> None:
    search = Search(first_rps=1.0, allowed=0.05)
    search.add(4.0, blocks_of(0))
    search.add(4.0, blocks_of(0))
    search.stopped = "the load generator could not send faster"
    assert search.next_rps() is None
    rates = Rates(
        objective=RateObjective(0.95, 500).described(), sides={"container": search.result()}
    )
    [line, _] = format_rates(rates)
    assert "keeps p95 < 500 ms at 4 requests a second; its limit lies above" in line
    assert "could not send faster" in line
    path = tmp_path / "rates.json"
    write_rates(path, rates)
    assert read_rates(path) == rates
    path.write_text("{")
    with pytest.raises(RecordError, match="cannot be read"):
        read_rates(path)
