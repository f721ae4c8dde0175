"""A run directory of about so many rows: ``load_run.py URL USERS ROWS RUN``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import uvloop
from null_run import null_manifest

from twinserve.load.ceiling import measure_ceiling
from twinserve.load.experiment import Experiment
from twinserve.load.sender import Clock, Sender
from twinserve.records.manifest import RunState, write_manifest
from twinserve.records.run import RunDirectory
from twinserve.records.samples import SampleWriter
from twinserve.workload import ClosedLoop, Workload

BLOCKS = 10
ANSWER_BYTES = 1000


async def load(url: str, users: int, rows: int, run: RunDirectory) -> None:
    clock = Clock.start()
    sender = Sender(clock)
    ceiling = await measure_ceiling(sender, users, ANSWER_BYTES)
    if ceiling is None:
        raise RuntimeError("the null server did not start")
    workload = Workload(
        profile="rows",
        arrivals=ClosedLoop(users=users),
        blocks=BLOCKS,
        block_s=rows / (2 * BLOCKS) / ceiling.requests_per_s,
        warmup_s=0.0,
        seed=0,
    )
    manifest = null_manifest(clock, workload)
    first, second = manifest.sides
    with SampleWriter(run.samples) as samples:
        urls = {first: url, second: url}
        experiment = Experiment(urls, workload, clock, sender, samples.add)
        manifest.blocks = [block async for block in experiment.blocks()]
    manifest.state = RunState.COMPLETE
    manifest.finished_epoch_ms = time.time() * 1000
    write_manifest(run.manifest, manifest)


if __name__ == "__main__":
    address, number, wanted, folder = sys.argv[1:]
    uvloop.run(load(address, int(number), int(wanted), RunDirectory.create(Path(folder))))
