"""The meter against examples worked out by hand, and its properties."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinserve.scaling.billing import (
    Billed,
    BillingMeter,
    Mode,
    billing_rules,
    busy_seconds,
    rounded_up,
)

STEP_S = 0.1
near = lambda value: pytest.approx(value, abs=1e-6)  # noqa: E731


def counts(meter: BillingMeter, now_s: float) -> dict[Mode, Billed]:
    return {each.mode: each for each in meter.billed(now_s)}


def requests(meter: BillingMeter, instance: str, *intervals: tuple[float, float]) -> None:
    """Tell the meter of requests in the order in which they begin and end."""
    moments = [(begin, 0, begin) for begin, _ in intervals]
    moments += [(end, 1, begin) for begin, end in intervals]
    for at_s, is_end, begin in sorted(moments):
        if is_end:
            meter.request_ended(instance, begin, at_s)
        else:
            meter.request_began(instance, at_s)


@pytest.mark.parametrize(
    ("intervals", "billed_s"),
    [
        ([], 0.0),
        ([(1.0, 1.25)], 0.3),  # 250 ms: three steps
        ([(1.0, 1.3)], 0.3),  # exactly three
        ([(1.0, 2.0), (1.5, 2.5)], 1.5),  # they share 0.5 s
        ([(1.0, 4.0), (2.0, 3.0)], 3.0),  # one inside the other
        ([(1.0, 1.04), (1.05, 1.09)], 0.1),  # both within the step that is paid anyway
        ([(1.0, 1.04), (1.05, 1.12)], 0.2),  # the second goes past it
        ([(1.0, 1.04), (1.1, 1.14)], 0.2),  # a step each: the second begins where the first ends
        ([(1.0, 1.04), (9.0, 9.04)], 0.2),  # nothing for the time between
    ],
)
def test_time_with_requests_counts_once_and_is_rounded_up(
    intervals: list[tuple[float, float]], billed_s: float
) -> None:
    assert busy_seconds(intervals, STEP_S) == near(billed_s)


spans = st.lists(
    st.tuples(st.integers(0, 20_000), st.integers(0, 3_000)).map(
        lambda each: (each[0] / 1000, (each[0] + each[1]) / 1000)
    ),
    min_size=1,
    max_size=20,
)


@given(spans, st.randoms(use_true_random=False))
def test_the_order_of_overlapping_requests_changes_nothing(
    intervals: list[tuple[float, float]], rng: random.Random
) -> None:
    shuffled = list(intervals)
    rng.shuffle(shuffled)
    assert busy_seconds(intervals, STEP_S) == near(busy_seconds(shuffled, STEP_S))


@given(spans)
def test_never_less_than_the_longest_nor_more_than_the_whole_or_the_sum(
    intervals: list[tuple[float, float]],
) -> None:
    billed_s = busy_seconds(intervals, STEP_S)
    whole_s = max(end for _, end in intervals) - min(begin for begin, _ in intervals)
    assert billed_s >= max(end - begin for begin, end in intervals) - 1e-6
    assert billed_s <= rounded_up(whole_s, STEP_S) + 1e-6
    assert billed_s <= sum(rounded_up(end - begin, STEP_S) for begin, end in intervals) + 1e-6


@given(spans)
def test_one_more_request_never_costs_less(intervals: list[tuple[float, float]]) -> None:
    fewer = busy_seconds(intervals[1:], STEP_S)
    assert busy_seconds(intervals, STEP_S) >= fewer - STEP_S  # steps may fall together


@given(spans)
def test_the_meter_says_along_the_way_what_it_says_at_the_end(
    intervals: list[tuple[float, float]],
) -> None:
    meter = BillingMeter(cpu=1.0, memory_mib=1024, concurrency=80)
    meter.started("i", -1.0)
    meter.ready("i", -1.0)
    requests(meter, "i", *intervals)
    end_s = max(end for _, end in intervals)
    before = counts(meter, end_s)
    meter.ended("i", end_s)
    after = counts(meter, end_s + 100)
    assert before[Mode.REQUEST].billable_s == near(busy_seconds(intervals, STEP_S))
    for mode in (Mode.REQUEST, Mode.INSTANCE):
        assert after[mode] == before[mode]
    assert after[Mode.REQUEST].billable_s <= after[Mode.INSTANCE].billable_s + 1e-6


def test_a_worked_example_of_a_container() -> None:
    """2 vCPU, 1 GiB, several requests at a time::

        start-up   0.00 -  1.95
        requests   1.95 -  2.45 and 2.20 - 3.05   (one stretch with the start-up: 3.05 -> 3.1)
        request   10.00 - 10.01                   (0.01 -> 0.1)
        SIGTERM   20.00, gone at 20.32            (0.32 -> 0.4)

    Request-based: 3.1 + 0.1 + 0.4 = 3.6 s. Instance-based: 20.32 -> 20.4 s.
    """
    meter = BillingMeter(cpu=2.0, memory_mib=1024, concurrency=80)
    meter.started("i", 0.0)
    meter.ready("i", 1.95)
    requests(meter, "i", (1.95, 2.45), (2.20, 3.05), (10.0, 10.01))
    meter.sent(1200)
    meter.sent(300)
    meter.stopping("i", 20.0)
    meter.ended("i", 20.32)
    billed = counts(meter, 1000.0)
    assert set(billed) == {Mode.REQUEST, Mode.INSTANCE}  # 80 at a time: not for the 1st generation
    request, instance = billed[Mode.REQUEST], billed[Mode.INSTANCE]
    assert request.billable_s == near(3.6)
    assert request.vcpu_s == near(7.2)
    assert request.gib_s == near(3.6)
    assert instance.billable_s == near(20.4)
    assert instance.vcpu_s == near(40.8)
    assert (request.requests, request.egress_bytes, request.instances) == (3, 1500, 1)


def test_a_worked_example_of_a_function_of_the_first_generation() -> None:
    """512 MB, which are billed as 0.8 GHz; calls of 250 ms and 1.01 s are 0.3 + 1.1 = 1.4 s:
    1.12 GHz-s and 0.7 GB-s. Starting costs nothing there."""
    meter = BillingMeter(cpu=0.333, memory_mib=512, concurrency=1)
    meter.started("i", 0.0)
    meter.ready("i", 3.0)
    requests(meter, "i", (3.0, 3.25), (4.0, 5.01))
    first = counts(meter, 10.0)[Mode.FIRST_GEN]
    assert first.billable_s == near(1.4)
    assert first.ghz_s == near(1.12)
    assert first.gib_s == near(0.7)
    assert first.vcpu_s == 0


def test_memory_that_the_first_generation_does_not_sell_has_no_such_count() -> None:
    assert Mode.FIRST_GEN not in counts(BillingMeter(cpu=1.0, memory_mib=3000), 0.0)


def test_a_minimum_instance_is_billed_at_the_idle_price_while_it_has_no_request() -> None:
    """One instance is kept, ready from 2 s on. Two requests: 5 - 6 and 8 - 8.5; at 8 s a second
    instance starts for 1 s, so that nothing of the minimum is idle from 8 to 9 s (one is busy or
    starting). Idle: 2 - 5, 6 - 8, 9 - 12: 3 + 2 + 3 = 8 s, though two instances are there at 9."""
    meter = BillingMeter(cpu=1.0, memory_mib=4096, concurrency=1, min_instances=1)
    meter.started("a", 0.0)
    meter.ready("a", 2.0)
    requests(meter, "a", (5.0, 6.0))
    meter.request_began("a", 8.0)
    meter.started("b", 8.0)
    meter.request_ended("a", 8.0, 8.5)
    meter.ready("b", 9.0)
    request = counts(meter, 12.0)[Mode.REQUEST]
    assert request.idle_s == near(8.0)
    assert request.idle_vcpu_s == near(8.0)
    assert request.idle_gib_s == near(32.0)
    assert counts(meter, 12.0)[Mode.INSTANCE].idle_s == 0


def test_without_a_minimum_idle_time_is_free() -> None:
    meter = BillingMeter(cpu=1.0, memory_mib=4096)
    meter.started("a", 0.0)
    meter.ready("a", 1.0)
    request = counts(meter, 500.0)[Mode.REQUEST]
    assert (request.billable_s, request.idle_s) == (near(1.0), 0.0)


def test_shutting_down_is_billed_for_ten_seconds_and_no_longer() -> None:
    meter = BillingMeter(cpu=1.0, memory_mib=1024)
    meter.started("i", 0.0)
    meter.ready("i", 1.0)
    meter.stopping("i", 5.0)
    assert counts(meter, 100.0)[Mode.INSTANCE].billable_s == near(15.0)
    meter.ended("i", 100.0)
    assert counts(meter, 200.0)[Mode.INSTANCE].billable_s == near(15.0)
    assert counts(meter, 200.0)[Mode.REQUEST].billable_s == near(11.0)  # 1 of start-up, 10


def test_a_killed_instance_is_billed_until_then_with_what_it_was_doing() -> None:
    meter = BillingMeter(cpu=1.0, memory_mib=1024)
    meter.started("i", 0.0)
    meter.ready("i", 1.0)
    meter.request_began("i", 4.0)
    meter.ended("i", 6.05)
    meter.request_ended("i", 4.0, 6.1)  # its request is noticed later
    request = counts(meter, 50.0)[Mode.REQUEST]
    assert request.billable_s == near(1.0 + 2.1)
    meter.started("j", 60.0)
    meter.ready("j", 60.0)
    meter.request_began("j", 60.0, again=True)
    assert counts(meter, 60.0)[Mode.REQUEST].requests == 1  # one request, though sent twice


@given(st.lists(st.floats(0, 5), min_size=2, max_size=30))
def test_what_is_billed_only_grows(gaps: list[float]) -> None:
    meter = BillingMeter(cpu=1.0, memory_mib=512, concurrency=1, min_instances=1)
    now, seen = 0.0, 0.0
    meter.started("i", now)
    for place, gap in enumerate(gaps):
        now += gap
        step = place % 3
        if place == 0:
            meter.ready("i", now)
        elif step == 1:
            meter.request_began("i", now)
            began = now
        elif step == 2:
            meter.request_ended("i", began, now)
        total = sum(each.billable_s + each.idle_s for each in meter.billed(now))
        assert total >= seen - 1e-6
        seen = total


def test_its_memory_does_not_grow_with_the_requests() -> None:
    meter = BillingMeter(cpu=1.0, memory_mib=512, concurrency=1)
    meter.started("i", 0.0)
    meter.ready("i", 0.0)

    def held() -> int:
        return sum(len(v) for v in vars(meter).values() if hasattr(v, "__len__")) + sum(
            len(vars(alive)) for alive in meter._alive.values()
        )

    before = held()
    for number in range(10_000):
        meter.request_began("i", float(number))
        meter.request_ended("i", float(number), number + 0.5)
    assert held() == before
    assert counts(meter, 10_000.0)[Mode.REQUEST].requests == 10_000


def test_every_number_names_its_source_and_when_it_was_read() -> None:
    rules = billing_rules()
    for fact in (rules.round_up_s, rules.shut_down_most_s, rules.first_gen_ghz):
        assert fact.source.startswith("https://")
        assert fact.read == "2026-11"
