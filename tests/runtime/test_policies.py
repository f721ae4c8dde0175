"""The policies at work: the same scenarios through the pure bookkeeping, by a clock of numbers, and
through a real gateway with real instances, whose policy has its times compressed.

A scenario holds so many requests at a time, changed at certain moments. What it expects are the
instances that run or start at certain moments, and how many requests have been refused by then.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from twinserve.deployment import Deployment, Kind
from twinserve.runtime import instances
from twinserve.runtime.gateway import Gateway
from twinserve.runtime.instances import InstanceLog, ProcessRunner
from twinserve.runtime.slots import Slots, Ticket
from twinserve.scaling.rules import State

START_S = 2.0  # of an instance, where the clock is of numbers
STEP_S = 0.1


@dataclass(frozen=True)
class Scenario:
    """``levels``: (from when on, requests at a time); ``expected``: (when, instances, refused)."""

    policy: str
    levels: Sequence[tuple[float, int]]
    expected: Sequence[tuple[float, int, int]]
    time_scale: float  # of the live gateway
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def deployment(self) -> Deployment:
        return Deployment("side", Kind.CONTAINER, "none", policy=self.policy, **self.fields)


SCENARIOS = {
    # 9 requests fit into one instance of 10. A target of 6 (60 %) a minute: the average is 9 t / 60
    # and above 6 from t = 40 on: a second instance. At 120 they end; it is 9 (180 - t) / 60 and
    # at most 6 from 140 on, when the second instance has long been idle for more than 60: it goes.
    # The first is idle since 120 and goes after 180, when the average is 0.
    "cloud-run, a minute above its target": Scenario(
        "cloud-run",
        levels=[(0, 9), (120, 0)],
        expected=[
            (20, 1, 0),
            (56, 2, 0),
            (115, 2, 0),
            (130, 2, 0),
            (155, 1, 0),
            (172, 1, 0),
            (195, 0, 0),
        ],
        time_scale=30,
        fields={"concurrency": 10, "idle_s": 60.0, "max_instances": 5},
    ),
    # One at a time: 2 requests need 2 instances at once. The average is 2 t / 60; above 1.2,
    # from 36 on, 2 / 0.6 asks for more: 3, the most there may be. At 60 come 3 more, and 2 find no
    # place; no more can start: they are refused after max(10, 3.5 starts), the rest goes on.
    "cloud-functions, more than there may be": Scenario(
        "cloud-functions",
        levels=[(0, 2), (60, 5)],
        expected=[(20, 2, 0), (55, 3, 0), (63, 3, 0), (250, 3, 2)],
        time_scale=30,
        fields={"concurrency": 1, "idle_s": 60.0, "max_instances": 3},
    ),
    # One instance a request, and no more for any average: 3, then 1 (two idle for 60 from 30 on
    # go after 90), then none (idle from 100 on, after 160).
    "cloud-functions-1st, an instance for each": Scenario(
        "cloud-functions-1st",
        levels=[(0, 3), (30, 1), (100, 0)],
        expected=[(20, 3, 0), (80, 3, 0), (97, 1, 0), (150, 1, 0), (170, 0, 0)],
        time_scale=20,
        fields={"concurrency": 1, "idle_s": 60.0, "max_instances": 5},
    ),
    # Target 7 (70 % of 10). 3 requests: one instance. At 30 there are 15: the last six seconds ask
    # for ceil(11 / 7) = 2 at 34, twice of what is ready: panic; for ceil(15 / 7) = 3 at 36. Panic
    # ends a minute after two are ready. At 100 they end; at 128 the average is 15 * 32 / 60
    # = 8: 2 instances; at 150 2.5: 1. At 160 it is 0: none is wanted, but the last one has 30 of
    # grace, until about 192.
    "knative, panic and back to zero": Scenario(
        "knative",
        levels=[(0, 3), (30, 15), (100, 0)],
        expected=[
            (20, 1, 0),
            (60, 3, 0),
            (95, 3, 0),
            (128, 2, 0),
            (150, 1, 0),
            (180, 1, 0),
            (212, 0, 0),
        ],
        time_scale=15,
        fields={"concurrency": 10, "max_instances": 8},
    ),
    # Two from the start on, whatever there is to do; ten requests wait behind two places of one.
    "always-on, never more or fewer": Scenario(
        "always-on",
        levels=[(0, 0), (50, 12), (100, 0)],
        expected=[(40, 2, 0), (90, 2, 0), (250, 2, 0)],
        time_scale=30,
        fields={"concurrency": 1, "min_instances": 2, "max_instances": 5},
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_by_a_clock_of_numbers(name: str) -> None:
    scenario = SCENARIOS[name]
    book = Slots(scenario.deployment)
    here: list[Ticket] = []
    levels, expected = list(scenario.levels), list(scenario.expected)
    refused = 0
    for step in range(round(expected[-1][0] / STEP_S) + 2):
        now_s = step * STEP_S
        if levels and now_s >= levels[0][0]:
            _, level = levels.pop(0)
            for ticket in here[level:]:
                book.release(ticket, now_s)
            here = here[:level]
            here += [book.enqueue(now_s) for _ in range(level - len(here))]
        for name, slot in book.instances.items():
            if slot.state is State.STARTING and now_s - slot.started_s >= START_S:
                book.ready(name, now_s)
        book.assign(now_s)
        book.decide(now_s)
        for ticket in book.overdue(now_s):
            refused += 1
            book.release(ticket, now_s)
            here.remove(ticket)
        for _ in range(book.to_start()):
            book.add(now_s)
        for name in book.to_stop():
            book.stopping(name, now_s)
            book.remove(name, now_s)
        if expected and now_s >= expected[0][0]:
            assert (now_s, len(book.instances), refused) == (
                pytest.approx(expected[0][0]),
                *expected[0][1:],
            )
            expected.pop(0)
    assert not expected


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[float, int, int]]]:
    """What was seen of each scenario, all of them played at the same time."""
    odd = str(Path(__file__).with_name("odd_instance.py"))
    folder = tmp_path_factory.mktemp("played")

    async def play_all() -> list[list[tuple[float, int, int]]]:
        return await asyncio.gather(
            *(_play(each, folder / str(place)) for place, each in enumerate(SCENARIOS.values()))
        )

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            instances, "instance_command", lambda _, port: [sys.executable, "-S", odd, str(port)]
        )
        return dict(zip(SCENARIOS, asyncio.run(play_all()), strict=True))


@pytest.mark.parametrize("name", SCENARIOS)
def test_by_a_real_gateway(name: str, played: dict[str, list[tuple[float, int, int]]]) -> None:
    assert played[name] == list(SCENARIOS[name].expected)


async def _play(scenario: Scenario, folder: Path) -> list[tuple[float, int, int]]:
    folder.mkdir()
    log = InstanceLog(None)
    gateway = Gateway(scenario.deployment, ProcessRunner(log), time_scale=scenario.time_scale)
    url = await gateway.open()
    timeout = aiohttp.ClientTimeout(120)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, timeout=timeout, connector=connector) as session:
        held = _Held(session, folder)
        begun_s = asyncio.get_running_loop().time()
        moments = sorted(
            [(at_s, 0, level) for at_s, level in scenario.levels]
            + [(at_s, 1, 0) for at_s, *_ in scenario.expected]
        )
        seen = []
        for at_s, is_check, level in moments:
            left_s = begun_s + at_s / scenario.time_scale - asyncio.get_running_loop().time()
            await asyncio.sleep(left_s)
            if is_check:
                status: Any = gateway.status()
                live = [each for each in status["instances"] if each["state"] != "stopping"]
                seen.append((at_s, len(live), sum(status["requests"]["refusals"].values())))
            else:
                held.set(level)
        held.set(0)
        answers = await held.answers()
        await gateway.drain()
        log.close()
    refused = scenario.expected[-1][2]
    assert sorted(answers) == [200] * (len(answers) - refused) + [429] * refused
    return seen


class _Held:
    """Requests that last until they are let go."""

    def __init__(self, session: aiohttp.ClientSession, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._asked: list[asyncio.Task[int]] = []
        self._here: list[Path] = []

    def set(self, level: int) -> None:
        for signal in self._here[level:]:
            signal.touch()
        del self._here[level:]
        while len(self._here) < level:
            signal = self._folder / f"go-{len(self._asked)}"
            self._here.append(signal)
            self._asked.append(asyncio.create_task(self._ask(f"/until?{signal}")))

    async def answers(self) -> list[int]:
        return await asyncio.gather(*self._asked)

    async def _ask(self, path: str) -> int:
        async with self._session.get(path) as answer:
            await answer.read()
            return answer.status
