"""One comparison's load: the equality check, a warm-up, then blocks in adjacent pairs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from twinserve.load.equality import check_equality
from twinserve.load.plan import draw_blocks, request_seeds
from twinserve.load.sender import Clock, Outcome, Sender, Target
from twinserve.records.manifest import Block, EqualityResult, Workload
from twinserve.records.samples import Phase, Sample

FAILURE_PAUSE_S = 0.1  # a dead side must not be asked thousands of times a second


class Experiment:
    """Loads the gateways at ``urls`` (side -> URL) by a workload; every row goes to
    ``on_sample``."""

    def __init__(
        self,
        urls: Mapping[str, str],
        workload: Workload,
        clock: Clock,
        sender: Sender,
        on_sample: Callable[[Sample], None],
    ) -> None:
        self._urls = dict(urls)
        self._workload = workload
        self._clock = clock
        self._sender = sender
        self._on_sample = on_sample

    async def check_equality(self) -> EqualityResult:
        """The first requests of the run; they wait for cold instances."""
        return await check_equality(self._sender, self._urls, self._keep)

    async def warm_up(self) -> None:
        """Load each side for ``warmup_s``, so that the blocks meet caches and pools as they
        stay."""
        for side in self._urls:
            await self._load(side, Phase.WARMUP, -1, -1, self._workload.warmup_s)

    async def blocks(self) -> AsyncIterator[Block]:
        """Run every block, each side alone on the machine; yields a block when it has ended."""
        first, second = self._urls
        workload = self._workload
        for planned in draw_blocks((first, second), workload.blocks, workload.seed):
            start_us = self._clock.now_us()
            await self._load(
                planned.side, Phase.BLOCK, planned.index, planned.pair, workload.block_s
            )
            end_us = self._clock.now_us()
            yield Block(planned.index, planned.pair, planned.side, start_us, end_us)

    async def _load(self, side: str, phase: Phase, block: int, pair: int, seconds: float) -> None:
        end_us = self._clock.now_us() + round(seconds * 1e6)
        async with asyncio.TaskGroup() as group:
            for user in range(self._workload.users):
                target = Target(side, self._urls[side], phase, block, user, self._workload.users)
                group.create_task(self._user(target, pair, end_us))

    async def _user(self, target: Target, pair: int, end_us: int) -> None:
        """A user of a closed loop: ask, wait for the answer, think, ask again."""
        for seed in request_seeds(self._workload.seed, pair, target.user):
            if self._clock.now_us() >= end_us:
                return
            outcome = await self._sender.send(target, self._workload.images, seed)
            self._keep(outcome)
            pause_s = self._workload.think_s
            if not outcome.sample.success:
                pause_s = max(pause_s, FAILURE_PAUSE_S)
            if pause_s:
                left_s = (end_us - self._clock.now_us()) / 1e6
                await asyncio.sleep(min(pause_s, max(left_s, 0)))

    def _keep(self, outcome: Outcome) -> None:
        self._on_sample(outcome.sample)
