"""The gates on short real experiments: a load generator that is asked for too much, and a machine
that really has other work."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.gates import host, load, saturation
from twinserve.analysis.rows import read_sides
from twinserve.analysis.watched import read_watched
from twinserve.load.ceiling import measure_ceiling
from twinserve.load.experiment import Experiment
from twinserve.load.host_watch import HostWatch
from twinserve.load.sender import Clock, Sender
from twinserve.records.manifest import read_manifest, write_manifest
from twinserve.records.run import RunDirectory
from twinserve.records.samples import SampleWriter
from twinserve.workload import ClosedLoop, Constant, Workload

ANSWER_BYTES = 2000
SLOW_S = 0.4  # of an answer: lag of some ms, as a busy machine has it, is little beside it
NAMES = ("container", "function")


@contextmanager
def null_server() -> Iterator[str]:
    words = [sys.executable, "-m", "twinserve.load.null_server", str(ANSWER_BYTES)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.communicate()


@contextmanager
def other_work() -> Iterator[None]:
    """A process for each CPU that is no child of ours, since its parent has ended."""
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'while 1: 0'], "
    code += "stdout=subprocess.DEVNULL).pid)"
    words = [sys.executable, "-c", code]
    pids: list[int] = []
    try:
        for _ in range(os.cpu_count() or 1):
            told = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=60).stdout
            pids.append(int(told))
        yield
    finally:
        for pid in pids:
            os.kill(pid, 9)


async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(SLOW_S)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    await writer.drain()
    writer.close()


@pytest.fixture
def base(make_run, tmp_path):
    """A manifest of two sides with one instance each, and the directory of another run."""
    manifest = read_manifest(make_run(blocks=1, rows=4, resources=False).manifest)
    deployments = {name: each.with_at_most(1) for name, each in manifest.deployments.items()}
    hardware = msgspec.structs.replace(manifest.hardware, cores=os.cpu_count() or 1)
    run = RunDirectory.create(tmp_path / "real")
    return run, msgspec.structs.replace(
        manifest, deployments=deployments, hardware=hardware, blocks=[]
    )


async def measured(run, manifest, arrivals_of, url=None, block_s=2.5):
    """A block a side, of the arrivals that ``arrivals_of`` makes of the ceiling's requests a
    second; on a slow server where no URL is given."""
    clock = Clock.start()
    own = await asyncio.start_server(slow, "127.0.0.1", 0)
    url = url or f"http://127.0.0.1:{own.sockets[0].getsockname()[1]}"
    with SampleWriter(run.samples) as samples:
        sender = Sender(clock)
        async with own:
            ceiling = await measure_ceiling(sender, 1, ANSWER_BYTES, 0.5)
            workload = Workload(
                profile="real",
                arrivals=arrivals_of(ceiling.requests_per_s),
                blocks=1,
                block_s=block_s,
                warmup_s=0.0,
                seed=1,
            )
            experiment = Experiment(dict.fromkeys(NAMES, url), workload, clock, sender, samples.add)
            with HostWatch(run.host, clock):
                blocks = [block async for block in experiment.blocks()]
    return msgspec.structs.replace(
        manifest,
        started_epoch_ms=clock.started_epoch_ms,
        workload=workload,
        blocks=blocks,
        ceiling=ceiling,
    )


def two_users(_most_rps):
    return ClosedLoop(users=2)


def judged(run, manifest):
    write_manifest(run.manifest, manifest)
    sides, watched = read_sides(run, manifest), read_watched(run, manifest)
    unsent = {block.side: block.unsent for block in manifest.blocks}
    return (
        load.judge(manifest.workload, sides, unsent),
        saturation.judge(manifest.workload, sides, watched, manifest.ceiling),
        host.judge(manifest, watched),
    )


def test_a_generator_that_is_asked_for_more_than_it_can_send_is_the_bottleneck(base):
    """Three times of what it has just been seen to send at most."""

    def too_much(most_rps):
        return Constant(rate_rps=3 * most_rps)

    run, manifest = base
    with null_server() as url:
        manifest = asyncio.run(measured(run, manifest, too_much, url, block_s=1.0))
    offered, saturated, _ = judged(run, manifest)
    assert offered.status is GateStatus.FAIL
    assert saturated.status is GateStatus.FAIL
    assert saturated.detail.startswith("Requests were sent late")
    assert " of the one core it can use at p95" in saturated.detail


def test_other_work_on_the_machine_is_noticed_and_not_taken_for_ours(base):
    run, manifest = base
    with other_work():
        manifest = asyncio.run(measured(run, manifest, two_users))
    offered, _, busy = judged(run, manifest)
    assert busy.status is GateStatus.FAIL
    assert busy.detail.startswith("Other processes used the CPU")
    assert offered.status is GateStatus.PASS
    watched = read_watched(run, manifest)
    assert not watched.is_short
    assert watched.generator_percent.mean() < 50
