"""One comparison's load: a warm-up, then groups of adjacent blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from twinserve.load.closed_loop import run_users
from twinserve.load.dispatch import Dispatch
from twinserve.load.in_flight import most_in_flight
from twinserve.load.open_loop import Sent, send_when_due
from twinserve.load.plan import (
    PlannedBlock,
    block_due_times,
    draw_blocks,
    draw_requests,
    warmup_due_times,
)
from twinserve.load.sender import Clock, Sender, Target
from twinserve.records.manifest import Block
from twinserve.records.samples import Phase, Sample
from twinserve.workload import Workload


class Experiment:
    """Loads the gateways at ``urls`` (name -> URL, the two sides first) by a workload; every row
    goes to ``on_sample``.

    A workload that is cold needs gateways of our own, which tell when they have no instance.
    """

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
        self._dispatch = Dispatch(sender, clock, on_sample)
        self._most_in_flight = most_in_flight()

    async def warm_up(self, repeat: int = 0) -> None:
        """Load each side for ``warmup_s``, so that the blocks meet caches and pools as they
        stay."""
        if not self._workload.warmup_s:
            return
        due_s = warmup_due_times(self._workload) if self._workload.is_open else None
        for side, url in self._urls.items():
            target = Target(side, url, Phase.WARMUP)
            await self._load(target, -1 - repeat, due_s, self._workload.warmup_s)

    async def blocks(self, repeat: int = 0) -> AsyncGenerator[Block, None]:
        """Run every block, each series alone on the machine unless the workload is concurrent;
        yields a block when it, and with it the last of its answers, has ended."""
        workload = self._workload
        planned = draw_blocks(list(self._urls), workload.blocks, workload.seed, repeat)
        due_s = block_due_times(workload, repeat)
        for place, (_, group) in enumerate(groupby(planned, key=lambda block: block.pair)):
            times_s = due_s[place] if due_s else None
            for blocks in _at_once(list(group), workload.concurrent):
                for block in await self._run(blocks, times_s, repeat):
                    yield block

    async def _run(
        self, planned: Sequence[PlannedBlock], due_s: NDArray[np.float64] | None, repeat: int
    ) -> list[Block]:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._block(block, due_s, repeat)) for block in planned]
        return [task.result() for task in running]

    async def _block(
        self, planned: PlannedBlock, due_s: NDArray[np.float64] | None, repeat: int
    ) -> Block:
        target = Target(planned.side, self._urls[planned.side], Phase.BLOCK, planned.index)
        sent = await self._load(target, planned.pair, due_s, self._workload.block_s)
        return Block(
            index=planned.index,
            pair=planned.pair,
            side=planned.side,
            start_us=sent.start_us,
            end_us=self._dispatch.clock.now_us(),
            repeat=repeat,
            unsent=sent.unsent,
            note=self._overload(sent.unsent) if sent.unsent else "",
        )

    async def _load(
        self, target: Target, pair: int, due_s: NDArray[np.float64] | None, seconds: float
    ) -> Sent:
        workload = self._workload
        if due_s is None:
            return Sent(await run_users(self._dispatch, workload, target, pair, seconds), 0)
        asked = draw_requests(workload.mix, workload.seed, pair)
        return await send_when_due(
            self._dispatch, target, asked, due_s, seconds, self._most_in_flight
        )

    def _overload(self, unsent: int) -> str:
        return (
            f"stopped with {self._most_in_flight:,} requests on their way; {unsent:,} more were "
            f"due and not sent, since the deployment does not keep up with the rate"
        )


def _at_once(group: list[PlannedBlock], concurrent: bool) -> Sequence[Sequence[PlannedBlock]]:
    """The blocks of a group, in the order in which they run, those that run together in one."""
    return [group] if concurrent else [[block] for block in group]
