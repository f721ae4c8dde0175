"""Our load generator for ``make bench-load``: ``load_own.py URL USERS SAMPLES SECONDS``."""

from __future__ import annotations

import sys
from pathlib import Path

import uvloop

from twinserve.load.experiment import Experiment
from twinserve.load.sender import Clock, Sender
from twinserve.records.samples import SampleWriter
from twinserve.workload import ClosedLoop, Workload


async def load(url: str, users: int, samples: Path, seconds: float) -> None:
    workload = Workload(
        profile="speed",
        arrivals=ClosedLoop(users=users),
        blocks=1,
        block_s=seconds,
        warmup_s=0.0,
        seed=0,
    )
    clock = Clock.start()
    with SampleWriter(samples) as rows:
        sender = Sender(clock)
        urls = {"a": url, "b": url}
        async for _ in Experiment(urls, workload, clock, sender, rows.add).blocks():
            pass


if __name__ == "__main__":
    address, number, file, duration = sys.argv[1:]
    uvloop.run(load(address, int(number), Path(file), float(duration)))
