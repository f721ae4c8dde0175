"""The scaling rules, as tables and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinserve.scaling.policy import (
    instances_to_stop,
    instances_wanted,
    may_wait_on,
    wait_limit_s,
)

counts = st.integers(0, 500)


@pytest.mark.parametrize(
    ("in_flight", "queued", "concurrency", "minimum", "maximum", "wanted"),
    [
        (0, 0, 1, 0, 5, 0),  # nothing to do: zero
        (0, 1, 80, 0, 5, 1),
        (80, 0, 80, 0, 5, 1),
        (80, 1, 80, 0, 5, 2),  # one more than fits
        (1, 3, 1, 0, 5, 4),  # one at a time: one each
        (1, 9, 1, 0, 5, 5),  # the maximum holds
        (0, 0, 1, 2, 5, 2),  # and so does the minimum
    ],
)
def test_as_few_instances_are_wanted_as_hold_every_request(
    in_flight: int, queued: int, concurrency: int, minimum: int, maximum: int, wanted: int
) -> None:
    assert wanted == instances_wanted(
        in_flight,
        queued,
        concurrency=concurrency,
        min_instances=minimum,
        max_instances=maximum,
    )


@given(counts, counts, st.integers(1, 100), st.integers(0, 20), st.integers(1, 20))
def test_wanted_instances_hold_all_requests_or_are_at_the_maximum(
    in_flight: int, queued: int, concurrency: int, minimum: int, more: int
) -> None:
    maximum = minimum + more
    wanted = instances_wanted(
        in_flight, queued, concurrency=concurrency, min_instances=minimum, max_instances=maximum
    )
    assert minimum <= wanted <= maximum
    assert wanted == maximum or wanted * concurrency >= in_flight + queued
    assert wanted == minimum or (wanted - 1) * concurrency < in_flight + queued


@pytest.mark.parametrize(
    ("idle_s", "ready", "minimum", "stopped"),
    [
        ({}, 0, 0, ()),
        ({"a": 60.0}, 1, 0, ()),  # exactly the limit: not beyond it
        ({"a": 60.1}, 1, 0, ("a",)),
        ({"a": 61.0, "b": 99.0, "c": 70.0}, 3, 0, ("b", "c", "a")),
        ({"a": 61.0, "b": 99.0, "c": 70.0}, 3, 2, ("b",)),
        ({"a": 61.0, "b": 99.0}, 3, 1, ("b", "a")),  # a busy third one keeps the minimum
        ({"a": 61.0}, 1, 1, ()),
        ({"a": 61.0, "b": 61.0}, 2, 1, ("a",)),  # ties: in the order given
    ],
)
def test_the_longest_idle_instances_stop_first_and_never_below_the_minimum(
    idle_s: dict[str, float], ready: int, minimum: int, stopped: tuple[str, ...]
) -> None:
    assert stopped == instances_to_stop(
        idle_s, ready=ready, min_instances=minimum, idle_limit_s=60.0
    )


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1000), max_size=8),
    st.integers(0, 8),
    st.integers(0, 20),
    st.floats(0, 1000),
)
def test_stopping_keeps_the_minimum_and_touches_only_the_overdue(
    idle_s: dict[str, float], busy: int, minimum: int, limit: float
) -> None:
    ready = len(idle_s) + busy
    stopped = instances_to_stop(idle_s, ready=ready, min_instances=minimum, idle_limit_s=limit)
    assert len(set(stopped)) == len(stopped)
    assert all(idle_s[instance] > limit for instance in stopped)
    assert not stopped or ready - len(stopped) >= minimum
    kept_overdue = {i for i, s in idle_s.items() if s > limit} - set(stopped)
    assert not kept_overdue or ready - len(stopped) <= minimum


@pytest.mark.parametrize(
    ("mean_start_s", "limit_s"), [(None, 10.0), (0.5, 10.0), (2.0, 10.0), (4.0, 14.0)]
)
def test_the_wait_limit_is_ten_seconds_or_three_and_a_half_starts(
    mean_start_s: float | None, limit_s: float
) -> None:
    assert wait_limit_s(mean_start_s) == limit_s


@pytest.mark.parametrize(
    ("waited_s", "starting", "may"),
    [(0.0, 0, True), (14.0, 0, True), (14.1, 0, False), (200.0, 1, True)],
)
def test_a_request_waits_within_the_limit_and_as_long_as_a_start_goes_on(
    waited_s: float, starting: int, may: bool
) -> None:
    assert may_wait_on(waited_s, starting=starting, mean_start_s=4.0) is may
