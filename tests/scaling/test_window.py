"""Averages over a sliding window, against areas worked out by hand and against brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinserve.scaling.window import BUCKETS, LoadWindow


def test_a_level_fills_the_window_and_leaves_it_again() -> None:
    window = LoadWindow(60.0)
    window.set(6.0, 100.0)
    assert window.average(100.0, 60.0) == 0.0
    assert window.average(110.0, 60.0) == pytest.approx(1.0)  # 6 x 10 / 60
    assert window.average(160.0, 60.0) == pytest.approx(6.0)
    window.set(0.0, 170.0)
    assert window.average(190.0, 60.0) == pytest.approx(4.0)  # 6 x 40 / 60
    assert window.average(230.0, 60.0) == pytest.approx(0.0)
    assert window.average(1e6, 60.0) == 0.0


def test_a_shorter_time_can_be_asked_for() -> None:
    window = LoadWindow(60.0)
    window.set(1.0, 0.0)
    window.set(5.0, 57.0)
    assert window.average(60.0, 6.0) == pytest.approx(3.0)  # 1 x 3 + 5 x 3, over 6
    assert window.average(60.0, 60.0) == pytest.approx(1.2)  # 57 + 15, over 60


def test_the_time_before_there_was_anything_to_do_can_be_left_out() -> None:
    window = LoadWindow(60.0)
    window.set(8.0, 1000.0)
    assert window.average(1002.0, 60.0, since_first=True) == pytest.approx(8.0)
    window.set(0.0, 1002.0)
    assert window.average(1004.0, 60.0, since_first=True) == pytest.approx(4.0)
    window.average(1100.0, 60.0)
    window.set(3.0, 1200.0)  # a whole window of nothing: it begins anew
    assert window.average(1201.0, 60.0, since_first=True) == pytest.approx(3.0)


@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(0, 50)), min_size=1, max_size=30),
    st.floats(0, 80),
    st.floats(0.5, 100),
)
def test_within_a_bucket_of_the_exact_average(
    changes: list[tuple[float, int]], more_s: float, span_s: float
) -> None:
    window, now_s, steps = LoadWindow(span_s), 50.0, []
    for gap_s, level in changes:
        now_s += gap_s
        window.set(level, now_s)
        steps.append((now_s, level))
    now_s += more_s
    ends = [at_s for at_s, _ in steps[1:]] + [now_s]
    start_s = now_s - span_s
    area = sum(
        level * max(0.0, end_s - max(at_s, start_s))
        for (at_s, level), end_s in zip(steps, ends, strict=True)
    )
    most = max(level for _, level in steps)
    assert window.average(now_s, span_s) == pytest.approx(
        area / span_s, abs=most * 1.01 / BUCKETS + 1e-6
    )


@given(st.integers(1, 2000))
def test_memory_is_bounded_by_the_buckets(changes: int) -> None:
    window = LoadWindow(60.0)
    for number in range(changes):
        window.set(number % 3, number * 0.37)
    assert len(window._buckets) <= BUCKETS + 2
