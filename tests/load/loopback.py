"""Real servers on loopback whose behaviour is known, and experiments against them."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from twinserve.load.experiment import Experiment
from twinserve.load.sender import Clock, Sender
from twinserve.records.manifest import Block
from twinserve.records.samples import Phase, Sample
from twinserve.workload import Workload

Behaviour = Callable[[web.Request], Awaitable[web.Response]]


@dataclass
class Ran:
    """What an experiment left: its rows and blocks, and what each side was asked for, in order."""

    samples: list[Sample] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    asked: dict[str, list[tuple[str, object]]] = field(default_factory=lambda: defaultdict(list))

    def rows(self, block: Block) -> list[Sample]:
        return [s for s in self.samples if s.block == block.index]

    def of(self, phase: Phase) -> list[Sample]:
        return [s for s in self.samples if s.phase is phase]


async def answer(_: web.Request) -> web.Response:
    return web.json_response({})


def run(
    workload: Workload,
    behaviour: Behaviour = answer,
    names: tuple[str, ...] = ("a", "b"),
    repeat: int = 0,
    most_in_flight: int | None = None,
) -> Ran:
    """Warm-up and blocks against one server a side."""
    return asyncio.run(_run(workload, behaviour, names, repeat, most_in_flight))


async def _run(
    workload: Workload,
    behaviour: Behaviour,
    names: tuple[str, ...],
    repeat: int,
    most_in_flight: int | None,
) -> Ran:
    ran = Ran()
    runners, urls = [], {}
    for name in names:
        runner, urls[name] = await _serve(name, behaviour, ran)
        runners.append(runner)
    clock = Clock.start()
    try:
        sender = Sender(clock)
        experiment = Experiment(urls, workload, clock, sender, ran.samples.append)
        if most_in_flight is not None:
            experiment._most_in_flight = most_in_flight
        await experiment.warm_up(repeat)
        async for block in experiment.blocks(repeat):
            ran.blocks.append(block)
    finally:
        for runner in runners:
            await runner.cleanup()
    return ran


async def _serve(name: str, behaviour: Behaviour, ran: Ran) -> tuple[web.ServerRunner, str]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            ran.asked[name].append((request.headers.get("Accept", ""), await request.json()))
        return await behaviour(request)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def shown(asked: list[tuple[str, object]]) -> list[str]:
    """What was asked, in an order that does not depend on who was first."""
    return sorted(json.dumps(each, sort_keys=True) for each in asked)
