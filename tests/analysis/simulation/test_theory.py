"""Queues with a known answer: the simulation gives it within 1 %."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from twinserve.analysis.simulation.model import (
    Behaviour,
    Floats,
    Level,
    Model,
    constant,
    exponential,
)
from twinserve.analysis.simulation.run import Result, simulate
from twinserve.deployment import Deployment, Kind
from twinserve.scaling.policy import Fact, FixedPolicy, policy_named
from twinserve.workload import Poisson

REQUESTS = 3_000_000
WITHIN = 0.01
SERVICE_S = 1.0


@pytest.mark.parametrize("load", [0.5, 0.65])
def test_one_server_waits_as_mm1_does(load: float) -> None:
    result = play(exponential(SERVICE_S), load, servers=1)
    assert result.mean_wait_s == pytest.approx(load / (1 - load), rel=WITHIN)
    # The time in the system is exponential with rate 1 - load.
    for p in (0.5, 0.95):
        assert result.latency_quantile_s(p) == pytest.approx(
            -math.log(1 - p) / (1 - load), rel=0.015
        )


@pytest.mark.parametrize("servers", [3, 10])
def test_several_servers_wait_as_erlang_c_says(servers: int) -> None:
    load = 0.7 * servers
    expected = erlang_c(servers, load) / (servers - load)
    assert play(exponential(SERVICE_S), load, servers).mean_wait_s == pytest.approx(
        expected, rel=WITHIN
    )


def test_lanes_of_one_instance_wait_as_erlang_c_says() -> None:
    load = 0.7 * 3
    expected = erlang_c(3, load) / (3 - load)
    result = play(exponential(SERVICE_S), load, servers=1, lanes=3)
    assert result.mean_wait_s == pytest.approx(expected, rel=WITHIN)


@pytest.mark.parametrize(
    "work_s",
    [
        pytest.param(constant(SERVICE_S), id="always the same"),
        pytest.param(np.array([0.5] * 9 + [5.5]), id="a rare long one"),
    ],
)
def test_any_service_time_waits_as_pollaczek_and_khinchine_say(work_s: Floats) -> None:
    load = 0.5
    expected = load * np.mean(work_s**2) / (2 * (1 - load))
    assert play(work_s, load, servers=1).mean_wait_s == pytest.approx(expected, rel=WITHIN)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (5, 3.0), (20, 18.0)])
def test_without_a_queue_as_many_are_lost_as_erlang_b_says(servers: int, load: float) -> None:
    result = play(exponential(SERVICE_S), load, servers, queue=0)
    assert result.refused_share == pytest.approx(erlang_b(servers, load), rel=WITHIN)


def test_little_s_law_holds() -> None:
    result = play(exponential(SERVICE_S), 2.0, servers=3)
    at_a_time = np.mean([batch.at_a_time for batch in result.batches])
    assert at_a_time == pytest.approx(2.0 * result.mean_latency_s, rel=0.005)


def test_the_same_seed_gives_the_same_numbers_and_another_one_others() -> None:
    first, again = (play(exponential(1.0), 0.5, 1, requests=20_000, seed=3) for _ in range(2))
    other = play(exponential(1.0), 0.5, 1, requests=20_000, seed=4)
    assert first.mean_latency_s == again.mean_latency_s != other.mean_latency_s


def play(
    work_s: Floats,
    load: float,
    servers: int,
    *,
    lanes: int = 0,
    queue: int = 16_000,
    requests: int = REQUESTS,
    seed: int = 1,
) -> Result:
    """``load`` requests a second of 1 s each to ``servers`` instances that are always there."""
    policy = policy_named("always-on")
    assert isinstance(policy, FixedPolicy)
    policy = msgspec.structs.replace(
        policy, wait_most_s=fact(math.inf), queue_most=fact(float(queue))
    )
    deployment = Deployment(
        "queue", Kind.CONTAINER, "none", policy="always-on", min_instances=servers,
        max_instances=servers, concurrency=1000 if lanes else 1,
    )  # fmt: skip
    behaviour = Behaviour([Level(1000, work_s)], constant(0.0), lanes=lanes)
    model = Model(deployment, behaviour, policy)
    return simulate(model, Poisson(rate_rps=load), requests / load, seed=seed, warmup_s=1000)


def fact(value: float) -> Fact[float]:
    return Fact(value, "this test", "2026-11")


def erlang_b(servers: int, load: float) -> float:
    """Erlang (1917): the share that finds every server busy, by its recursion."""
    lost = 1.0
    for n in range(1, servers + 1):
        lost = load * lost / (n + load * lost)
    return lost


def erlang_c(servers: int, load: float) -> float:
    """The share that has to wait."""
    lost = erlang_b(servers, load)
    return lost / (1 - (load / servers) * (1 - lost))
