"""A cold workload against a deployment that really starts and stops."""

from __future__ import annotations

import asyncio
from pathlib import Path

from twinserve.cli.workload import cooled
from twinserve.deployment import FUNCTION, fair_defaults
from twinserve.load.experiment import Experiment
from twinserve.load.sender import Clock, Sender
from twinserve.records.events import EventKind, read_events
from twinserve.records.samples import Sample
from twinserve.runtime.platform import LocalPlatform
from twinserve.workload import ClosedLoop, Workload

COLD = Workload(
    profile="cold",
    arrivals=ClosedLoop(users=1),
    blocks=1,
    block_s=8.0,
    warmup_s=0.0,
    seed=0,
    cold=True,
)


async def rows_of(url: str) -> list[Sample]:
    rows: list[Sample] = []
    clock = Clock.start()
    sender = Sender(clock)
    experiment = Experiment({FUNCTION: url}, COLD, clock, sender, rows.append)
    async for _ in experiment.blocks():
        pass
    return rows


def test_every_request_waits_for_an_instance_of_its_own(tmp_path: Path) -> None:
    function = cooled(fair_defaults("random-16", idle_s=900.0)[FUNCTION])
    events = tmp_path / "instances.jsonl"
    with LocalPlatform([function], events=events) as platform:
        rows = asyncio.run(rows_of(platform.urls[FUNCTION]))
    assert rows
    assert all(row.success and row.cold_ms for row in rows)
    assert len({row.instance for row in rows}) == len(rows)
    starts = [event for event in read_events(events) if event.event is EventKind.START]
    assert len(starts) == len(rows)
