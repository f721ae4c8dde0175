"""Closed loops: users who wait for their answers."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from types import ModuleType

import pytest
from aiohttp import web

from twinserve.errors import RuntimeFailure
from twinserve.records.samples import Phase
from twinserve.workload import ClosedLoop, Workload


def workload(arrivals: ClosedLoop, **changes: object) -> Workload:
    usual = {"blocks": 1, "block_s": 1.0, "warmup_s": 0.0, "seed": 3}
    return Workload(profile="test", arrivals=arrivals, **(usual | changes))  # type: ignore[arg-type]


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(0.1)
    return web.json_response({})


def test_users_never_have_two_requests_at_a_time(loopback: ModuleType) -> None:
    ran = loopback.run(workload(ClosedLoop(users=3)), slow, names=("a",))
    for user in range(3):
        spans = sorted((s.sent_us, s.done_us) for s in ran.samples if s.user == user)
        assert spans
        assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert all(s.due_us == s.sent_us and s.users == 3 for s in ran.samples)


def test_users_think_between_answers(loopback: ModuleType) -> None:
    ran = loopback.run(workload(ClosedLoop(users=2, think_s=0.2)), slow, names=("a",))
    for user in range(2):
        spans = sorted((s.sent_us, s.done_us) for s in ran.samples if s.user == user)
        assert all(b[0] - a[1] >= 200_000 for a, b in pairwise(spans))


def test_what_is_sent_while_users_ramp_up_is_warm_up(loopback: ModuleType) -> None:
    ran = loopback.run(workload(ClosedLoop(users=4, ramp_s=0.8)), slow, names=("a",))
    (block,) = ran.blocks
    ramp, counted = ran.of(Phase.WARMUP), ran.of(Phase.BLOCK)
    assert max(s.sent_us for s in ramp) < block.start_us <= min(s.sent_us for s in counted)
    assert {s.block for s in ramp} == {-1}
    assert {s.user for s in counted} == {0, 1, 2, 3}
    firsts = [min(s.sent_us for s in ran.samples if s.user == user) for user in range(4)]
    begin_us = block.start_us - 800_000
    assert all(first >= begin_us + 200_000 * user for user, first in enumerate(firsts))


def test_answers_that_come_after_the_end_belong_to_the_block(loopback: ModuleType) -> None:
    ran = loopback.run(workload(ClosedLoop(users=1), block_s=0.55), slow, names=("a",))
    (block,) = ran.blocks
    assert block.end_us >= max(s.done_us for s in ran.samples)
    assert all(s.sent_us < block.start_us + 550_000 for s in ran.samples)


def test_both_sides_of_a_pair_are_asked_for_the_same(loopback: ModuleType) -> None:
    ran = loopback.run(workload(ClosedLoop(users=2)), slow)
    common = min(len(asked) for asked in ran.asked.values()) - 2
    assert common > 4
    first = loopback.shown(ran.asked["a"])
    assert len(set(first) & set(loopback.shown(ran.asked["b"]))) >= common


def test_a_dead_side_is_not_asked_without_pause(loopback: ModuleType) -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.json_response({"detail": "no"}, status=503)

    ran = loopback.run(workload(ClosedLoop(users=1)), broken, names=("a",))
    assert 1 < len(ran.samples) <= 11


class Gateway:
    """Says that it has an instance until a moment after each answer."""

    def __init__(self, stays_s: float) -> None:
        self._stays_s = stays_s
        self._instances = 0
        self.met: list[int] = []  # instances that each request found

    async def __call__(self, request: web.Request) -> web.Response:
        if request.path == "/_gateway/status":
            return web.json_response({"instances": [{"name": "a-1"}] * self._instances})
        self.met.append(self._instances)
        self._instances = 1
        asyncio.get_running_loop().call_later(self._stays_s, self._stop)
        return web.json_response({})

    def _stop(self) -> None:
        self._instances = 0


def test_a_cold_workload_waits_for_no_instance_before_each_request(loopback: ModuleType) -> None:
    gateway = Gateway(stays_s=0.15)
    ran = loopback.run(workload(ClosedLoop(users=1), cold=True), gateway, names=("a",))
    assert len(ran.samples) >= 2
    assert gateway.met == [0] * len(ran.samples)


def test_a_deployment_that_stays_warm_is_named(
    loopback: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinserve.load.cold.WITHIN_S", 0.2)
    with pytest.raises(ExceptionGroup) as caught:
        loopback.run(workload(ClosedLoop(users=1), cold=True), Gateway(stays_s=60), names=("a",))
    assert "a still has 1 instance after 0.2 s" in str(_only(caught.value))


def test_a_service_that_is_no_gateway_of_ours_is_named(loopback: ModuleType) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        loopback.run(workload(ClosedLoop(users=1), cold=True), slow, names=("a",))
    assert "a does not tell whether it has instances" in str(_only(caught.value))


def _only(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        (group,) = group.exceptions
    assert isinstance(group, RuntimeFailure)
    return group
