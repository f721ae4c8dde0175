"""One decision at a time: what was observed in, what to do out; each worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinserve.deployment import Deployment, Kind
from twinserve.scaling.policy import policies, policy_named
from twinserve.scaling.rules import (
    Decision,
    InstanceSeen,
    Memory,
    Seen,
    State,
    allotted_cpu,
    decide,
    windows,
)


def deployment(policy: str, **fields: Any) -> Deployment:
    return Deployment("side", Kind.CONTAINER, "m", policy=policy, **fields)


def ready(*idle_s: float | None) -> list[InstanceSeen]:
    """Ready instances ``a``, ``b``, …: None has a request, a number is idle for so long."""
    names = "abcdefgh"
    return [
        InstanceSeen(names[at], State.READY, int(idle is None), idle or 0.0)
        for at, idle in enumerate(idle_s)
    ]


def decided(policy: str, seen: Seen, memory: Memory | None = None, **fields: Any) -> Decision:
    return decide(policy_named(policy), deployment(policy, **fields), seen, memory or Memory())


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
def test_cloud_run_holds_every_request_at_once(
    in_flight: int, queued: int, concurrency: int, minimum: int, maximum: int, wanted: int
) -> None:
    seen = Seen(0.0, [InstanceSeen("a", State.READY, in_flight)], [0.0] * queued)
    fields = {
        "concurrency": concurrency, "min_instances": minimum, "max_instances": maximum,
    }  # fmt: skip
    assert decided("cloud-run", seen, **fields).wanted == wanted


@pytest.mark.parametrize(
    ("load", "cpu_busy", "cpu", "wanted"),
    [
        (48.0, None, 1, 1),  # 60 % of 80: just at the target of one
        (48.1, None, 1, 2),
        (144.1, None, 1, 4),  # 144.1 / 48 = 3.002
        (1.0, 0.60, 1, 1),  # one CPU at 60 %: just at the target
        (1.0, 0.61, 1, 2),
        (1.0, 1.21, 1, 3),  # 1.21 / 0.6 = 2.02
        (1.0, 1.21, 2, 2),  # instances of 2 CPUs: 1.21 / 1.2 = 1.01
        (48.1, 0.1, 1, 2),  # the one that asks for more decides
        (0.0, 0.02, 1, 0),  # what idle instances burn keeps none
    ],
)
def test_cloud_run_keeps_both_averages_at_60_percent(
    load: float, cpu_busy: float | None, cpu: float, wanted: int
) -> None:
    seen = Seen(0.0, load=load, cpu_busy=cpu_busy)
    assert decided("cloud-run", seen, cpu=cpu).wanted == wanted


def test_the_first_generation_starts_one_for_each_request_and_no_more() -> None:
    fields = {"concurrency": 1, "memory_mib": 2048}
    seen = Seen(0.0, ready(None, None), load=2.0, cpu_busy=2.0)
    assert decided("cloud-functions-1st", seen, **fields).wanted == 2
    assert decided("cloud-functions", seen, **fields).wanted == 4  # 2 / 0.6 = 3.3


@pytest.mark.parametrize(
    ("idle_s", "minimum", "stopped"),
    [
        ([], 0, ()),
        ([60.0], 0, ()),  # exactly the limit: not beyond it
        ([60.1], 0, ("a",)),
        ([61.0, 99.0, 70.0], 0, ("b", "c", "a")),
        ([61.0, 99.0, 70.0], 2, ("b",)),
        ([61.0, 99.0, None], 1, ("b", "a")),  # a busy third one keeps the minimum
        ([61.0], 1, ()),
        ([61.0, 61.0], 1, ("a",)),  # ties: in the order given
    ],
)
def test_the_longest_idle_instances_stop_first_and_never_below_the_minimum(
    idle_s: list[float | None], minimum: int, stopped: tuple[str, ...]
) -> None:
    seen = Seen(0.0, ready(*idle_s))
    assert decided("cloud-run", seen, min_instances=minimum, idle_s=60.0).stop == stopped


def test_an_idle_instance_stays_while_the_average_asks_for_it() -> None:
    seen = Seen(0.0, ready(None, 500.0), load=70.0)
    assert decided("cloud-run", seen, idle_s=60.0).stop == ()


@pytest.mark.parametrize(
    ("mean_start_s", "limit_s"), [(None, 10.0), (0.5, 10.0), (2.0, 10.0), (4.0, 14.0)]
)
def test_the_wait_limit_is_ten_seconds_or_three_and_a_half_starts(
    mean_start_s: float | None, limit_s: float
) -> None:
    waits_s = [limit_s - 1, limit_s, limit_s + 0.1]
    seen = Seen(0.0, ready(None), waits_s, mean_start_s=mean_start_s)
    found = decided("cloud-run", seen)
    assert (found.wait_most_s, found.refused) == (limit_s, 1)


def test_nobody_is_refused_while_an_instance_starts() -> None:
    seen = Seen(0.0, [InstanceSeen("a", State.STARTING)], [200.0])
    found = decided("cloud-run", seen)
    assert (found.wait_most_s, found.refused) == (math.inf, 0)


# Knative: target 7 requests at a time (70 % of 10)


def knative(seen: Seen, memory: Memory | None = None) -> Decision:
    return decided("knative", seen, memory, concurrency=10, max_instances=50)


@pytest.mark.parametrize(
    ("load", "panic_load", "running", "wanted", "in_panic"),
    [
        (7.0, 7.0, 1, 1, False),
        (7.1, 7.1, 1, 2, True),  # ceil(7.1 / 7) = 2 is 200 % of the one that is ready
        (21.0, 21.0, 3, 3, False),
        (21.0, 35.1, 3, 6, True),  # ceil(35.1 / 7) = 6 is 200 % of 3
        (21.0, 35.0, 3, 3, False),  # ceil(35 / 7) = 5 is not: the stable window decides
        (7.0, 7.0, 8, 4, False),  # 1 is enough, but not below half of 8
        (7.0, 7.0, 3, 1, False),  # the half of 3, rounded down
    ],
)
def test_knatives_two_windows(
    load: float, panic_load: float, running: int, wanted: int, in_panic: bool
) -> None:
    seen = Seen(1000.0, ready(*[None] * running), load=load, panic_load=panic_load)
    found = knative(seen)
    assert found.wanted == wanted
    assert (found.memory.panic_s is not None) is in_panic


def test_knative_in_panic_never_goes_down_and_forgets_after_a_minute() -> None:
    panic = Memory(decided_s=998.0, wanted=6, panic_s=998.0, panic_most=6)
    calm = Seen(1000.0, ready(*[None] * 6), load=7.0, panic_load=7.0)
    held = knative(calm, panic)
    assert (held.wanted, held.memory.panic_s) == (6, 998.0)
    later = Seen(1058.1, calm.instances, load=7.0, panic_load=7.0)
    over = knative(later, held.memory)
    assert (over.wanted, over.memory.panic_s) == (3, None)  # half of 6 at a time


def test_knative_decides_every_two_seconds() -> None:
    seen = Seen(10.0, ready(None), load=50.0, panic_load=50.0)
    held = Memory(decided_s=8.5, wanted=1)
    assert knative(seen, held).wanted == 1
    assert knative(seen, Memory(decided_s=8.0, wanted=1)).wanted == 8  # ceil(50 / 7)


def test_knative_starts_at_once_for_the_first_request() -> None:
    seen = Seen(10.0, [], [0.0], load=0.1, panic_load=0.1)
    assert knative(seen, Memory(decided_s=9.5, wanted=0, unwanted_s=0.0)).wanted == 1


def test_knative_without_a_limit_aims_at_70_of_100() -> None:
    seen = Seen(0.0, ready(None), load=70.1, panic_load=70.1)
    found = decided("knative", seen, concurrency=0)
    assert found.wanted == 2


def test_knative_keeps_the_last_instance_for_the_grace_period() -> None:
    instances = ready(60.0)
    first = knative(Seen(100.0, instances))
    assert (first.wanted, first.stop) == (0, ())
    before = knative(Seen(129.9, instances), first.memory)
    assert before.stop == ()
    after = knative(Seen(130.0, instances), before.memory)
    assert after.stop == ("a",)


def test_knative_stops_only_instances_without_a_request() -> None:
    panic_over = Memory(decided_s=0.0, wanted=4)
    seen = Seen(100.0, ready(None, 5.0, None, 9.0), load=3.0, panic_load=3.0)
    assert knative(seen, panic_over).stop == ("d", "b")


@pytest.mark.parametrize(("minimum", "wanted"), [(0, 1), (1, 1), (3, 3)])
def test_always_on_runs_its_minimum_whatever_there_is_to_do(minimum: int, wanted: int) -> None:
    for seen in (Seen(0.0), Seen(0.0, ready(*[1e6] * 3), [0.0] * 500, load=500.0)):
        found = decided("always-on", seen, min_instances=minimum, max_instances=10)
        assert (found.wanted, found.stop) == (wanted, ())


# Any policy


@given(
    st.sampled_from(list(policies())),
    st.lists(st.one_of(st.none(), st.floats(0, 2000)), max_size=8),
    st.integers(0, 30),
    st.floats(0, 500),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_whatever_is_seen_limits_hold_and_no_busy_instance_stops(
    policy: str, idle_s: list[float | None], queued: int, load: float, minimum: int, more: int
) -> None:
    maximum = max(1, minimum + more)
    seen = Seen(1000.0, ready(*idle_s), [0.0] * queued, load, load, mean_start_s=1.0)
    found = decided(
        policy, seen, concurrency=1, min_instances=minimum, max_instances=maximum, idle_s=60.0
    )
    assert minimum <= found.wanted <= maximum
    assert found.wanted >= min(maximum, 1 if seen.demand else 0)
    busy = {each.name for each in seen.instances if each.in_flight}
    assert not busy & set(found.stop)
    assert len(seen.instances) - len(found.stop) >= min(len(seen.instances), minimum)


def test_a_shorter_idle_time_shortens_cloud_runs_window() -> None:
    policy = policy_named("cloud-run")
    assert windows(policy, deployment("cloud-run", idle_s=900.0)).load_s == 60
    assert windows(policy, deployment("cloud-run", idle_s=10.0)).load_s == 10
    assert windows(policy, deployment("cloud-run", idle_s=0.0)).load_s == 1
    assert windows(policy_named("knative"), deployment("knative")).panic_s == pytest.approx(6)


@pytest.mark.parametrize(
    ("policy", "state", "in_flight", "ready_for_s", "cpu"),
    [
        ("cloud-run", State.STARTING, 0, 0.0, 2.0),  # start-up boost: from 1 to 2
        ("cloud-run", State.READY, 0, 9.9, 2.0),  # and for 10 s after
        ("cloud-run", State.READY, 1, 10.0, 1.0),
        ("cloud-run", State.READY, 0, 10.0, 0.0),  # none outside requests
        ("cloud-run", State.STOPPING, 0, 3.0, 1.0),  # SIGTERM has its 10 s of CPU
        ("knative", State.READY, 0, 10.0, 1.0),
        ("always-on", State.STARTING, 0, 0.0, 1.0),
    ],
)
def test_the_cpu_that_an_instance_gets(
    policy: str, state: State, in_flight: int, ready_for_s: float, cpu: float
) -> None:
    given = allotted_cpu(
        policy_named(policy), 1.0, state=state, in_flight=in_flight, ready_for_s=ready_for_s
    )
    assert given == cpu
