"""Users who ask, wait for the answer, think, and ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from twinserve.load.cold import until_cold
from twinserve.load.dispatch import Dispatch
from twinserve.load.plan import Request, draw_requests
from twinserve.load.sender import Target
from twinserve.records.samples import Phase
from twinserve.workload import Workload
from twinserve.workload.arrivals import user_starts_s

FAILURE_PAUSE_S = 0.1  # a dead side must not be asked thousands of times a second


async def run_users(
    dispatch: Dispatch, workload: Workload, target: Target, pair: int, seconds: float
) -> int:
    """Let the users ask for ``seconds`` once all have begun, and wait for their last answers.

    Returns when all had begun, in microseconds of the run; what is sent before that, while they
    ramp up, is warm-up.
    """
    begin_us = dispatch.clock.now_us()
    all_us = begin_us + round(workload.ramp_s * 1e6)
    loop = _Loop(dispatch, workload, all_us, all_us + round(seconds * 1e6))
    async with asyncio.TaskGroup() as users:
        for user, start_s in enumerate(user_starts_s(workload.users, workload.ramp_s)):
            asked = draw_requests(workload.mix, workload.seed, pair, user)
            own = replace(target, user=user, users=workload.users)
            users.create_task(loop.user(own, asked, begin_us + round(start_s * 1e6)))
    return all_us


@dataclass(frozen=True)
class _Loop:
    """What all users of one block share."""

    dispatch: Dispatch
    workload: Workload
    all_us: int  # from when on rows count
    end_us: int

    async def user(self, target: Target, asked: Iterator[Request], start_us: int) -> None:
        await self._pause(self._left_s(start_us))
        for request in asked:
            if self.workload.cold:
                await until_cold(target.side, target.url)
            if self._now_us() >= self.end_us:
                return
            sample = await self.dispatch.send(self._counted(target), request)
            think_s = self.workload.think_s
            await self._pause(think_s if sample.success else max(think_s, FAILURE_PAUSE_S))

    def _counted(self, target: Target) -> Target:
        """The target of a request that is sent now: while users ramp up, it is warm-up."""
        if self._now_us() >= self.all_us:
            return target
        return replace(target, phase=Phase.WARMUP, block=-1)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(min(seconds, max(self._left_s(self.end_us), 0)))

    def _left_s(self, moment_us: int) -> float:
        return (moment_us - self._now_us()) / 1e6

    def _now_us(self) -> int:
        return self.dispatch.clock.now_us()
