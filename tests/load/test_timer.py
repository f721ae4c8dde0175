"""Waking up on time."""

import asyncio
import sys
import time

import pytest

from twinserve.load import timer as module
from twinserve.load.timer import Timer


async def _late_ms(times: int) -> list[float]:
    late = []
    with Timer() as timer:
        for _ in range(times):
            moment_s = time.monotonic() + 0.0037
            await timer.until(moment_s)
            late.append(1000 * (time.monotonic() - moment_s))
    return late


def test_it_never_wakes_early() -> None:
    assert min(asyncio.run(_late_ms(20))) >= 0


@pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")
def test_it_wakes_nearer_to_the_moment_than_the_loops_own_sleep() -> None:
    async def slept() -> list[float]:
        late = []
        for _ in range(40):
            moment_s = time.monotonic() + 0.0037
            await asyncio.sleep(0.0037)
            late.append(1000 * (time.monotonic() - moment_s))
        return late

    assert min(asyncio.run(_late_ms(40))) < min(asyncio.run(slept()))


def test_a_moment_that_is_past_lets_others_run() -> None:
    async def run() -> list[str]:
        done: list[str] = []
        task = asyncio.create_task(asyncio.sleep(0, done.append("other")))
        with Timer() as timer:
            await timer.until(time.monotonic() - 1)
            done.append("timer")
        await task
        return done

    assert asyncio.run(run()) == ["other", "timer"]


def test_without_a_timerfd_the_loop_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_libc", None)
    assert min(asyncio.run(_late_ms(3))) >= 0
