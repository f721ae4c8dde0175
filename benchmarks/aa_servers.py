"""The same server on both sides, many short experiments: how often is a winner named?

Run with ``make bench-aa``. A server in a process of its own does nothing but answer; our sender
loads it under two names in adjacent pairs of blocks, rows and manifest are written, and the
analysis that judges real runs judges these. Whatever differs is chance, so a winner is an error: it
may be named in at most 5 % of the experiments. Ends with 1 when that is beyond chance.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interval_coverage import at_most
from null_run import null_manifest

from twinserve.analysis.compare import compare_run
from twinserve.analysis.comparison import Comparison, GateStatus
from twinserve.analysis.statistics import Finding
from twinserve.load.experiment import Experiment
from twinserve.load.sender import Clock, Sender
from twinserve.records.manifest import RunState, write_manifest
from twinserve.records.run import RunDirectory
from twinserve.records.samples import SampleWriter
from twinserve.workload import ClosedLoop, Workload

EXPERIMENTS = 200
ANSWER_BYTES = 1000
USERS = 4
BLOCKS = 10
LEAST_BLOCK_S = 0.1
ROWS = 2000  # a side: an interval of p95 needs 1,000, and the host may slow down
LEAST_TOLD = 0.5  # of the experiments have an interval of p95, or the study says nothing
WARMUP_S = 0.1
STATISTICS = ("mean", "p50", "p95")
WINNERS = (Finding.FIRST.value, Finding.SECOND.value)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--experiments", type=int, default=EXPERIMENTS)
    options = parser.parse_args()
    if options.experiments < 1:
        parser.error(f"--experiments is {options.experiments}; at least one is needed")
    found: list[Comparison] = []
    with null_server() as url:
        try:
            for comparison in _experiments(url, options.experiments):
                found.append(comparison)
        except KeyboardInterrupt:
            print(f"Interrupted after {len(found)} experiments.")
    if not found:
        sys.exit(1)
    missed = False
    for line, met in report(found):
        print(line if met else f"{line}   MISSED")
        missed |= not met
    sys.exit(missed or len(found) < options.experiments)


def _experiments(url: str, count: int) -> Iterator[Comparison]:
    """One after the other, the blocks of each as long as the one before says that it takes."""
    last = compared(url, 0, LEAST_BLOCK_S)
    block_s = block_seconds(last)
    print(
        f"{count} experiments of {BLOCKS} blocks a side, {USERS} users, blocks of about "
        f"{block_s:.2f} s; about {count * _seconds(block_s) / 60:.0f} minutes",
        flush=True,
    )
    for seed in range(1, count + 1):
        last = compared(url, seed, block_seconds(last))
        yield last


@contextmanager
def null_server() -> Iterator[str]:
    """The URL of a server that only answers, in a process that ends with the context."""
    command = [sys.executable, "-m", "twinserve.load.null_server", str(ANSWER_BYTES)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout  # noqa: S101 - opened as pipes above
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


def block_seconds(trial: Comparison) -> float:
    """How long a block must be here for an interval of p95, going by the experiment before."""
    rate = min(side.throughput_rps for side in trial.deployments.values())
    return max(LEAST_BLOCK_S, ROWS / BLOCKS / max(rate, 1.0))


def compared(url: str, seed: int, block_s: float) -> Comparison:
    """One experiment with ``url`` on both sides, from the first request to its comparison."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory.create(Path(folder) / "run")
        asyncio.run(_measure(run, url, _workload(seed, block_s)))
        return compare_run(run)


def report(found: list[Comparison]) -> Iterator[tuple[str, bool]]:
    """A line for each way of naming a winner, and whether it stays within 5 %."""
    told: Counter[str] = Counter()
    for comparison in found:
        findings = comparison.differences["elapsed_ms"].findings
        told.update(name for name in STATISTICS if findings[name] in WINNERS)
        told["verdict"] += comparison.verdict.choice in comparison.sides
    for name in (*STATISTICS, "verdict"):
        what = "a winner by the verdict" if name == "verdict" else f"a winner by {name}"
        target = at_most(what, told[name], len(found))
        yield f"{target.text} ({told[name] / len(found):.3f}, at most 0.05)", target.met
    interval = sum(c.differences["elapsed_ms"].p95.low is not None for c in found)
    share = interval / len(found)
    yield f"an interval of p95 in {interval} ({share:.3f}, at least 0.5)", share >= LEAST_TOLD
    yield from ((line, True) for line in _around(found))


def _around(found: list[Comparison]) -> Iterator[str]:
    """What the experiments were like, so that a rate of 0 cannot come from saying nothing."""
    named = Counter(c.differences["elapsed_ms"].findings["p95"] for c in found)
    yield "p95 is " + ", ".join(f"{name} in {count}" for name, count in named.most_common())
    rows = sorted(min(s.requests for s in c.deployments.values()) for c in found)
    yield f"requests a side: {rows[0]:,} to {rows[-1]:,}"
    failed = Counter(g.name for c in found for g in c.gates if g.status is GateStatus.FAIL)
    gates = ", ".join(f"{name} in {count}" for name, count in failed.most_common()) or "none"
    yield f"gates that failed, which leave a verdict undetermined: {gates}"


async def _measure(run: RunDirectory, url: str, workload: Workload) -> None:
    clock = Clock.start()
    manifest = null_manifest(clock, workload)
    first, second = manifest.sides
    with SampleWriter(run.samples) as samples:
        sender = Sender(clock)
        urls = {first: url, second: url}
        experiment = Experiment(urls, workload, clock, sender, samples.add)
        await experiment.warm_up()
        async for block in experiment.blocks():
            manifest.blocks.append(block)
    manifest.state = RunState.COMPLETE
    manifest.finished_epoch_ms = time.time() * 1000
    write_manifest(run.manifest, manifest)


def _workload(seed: int, block_s: float) -> Workload:
    return Workload(
        profile="quick",
        arrivals=ClosedLoop(users=USERS),
        blocks=BLOCKS,
        block_s=block_s,
        warmup_s=WARMUP_S,
        seed=seed,
    )


def _seconds(block_s: float) -> float:
    return 2 * (WARMUP_S + BLOCKS * block_s) + 0.3


if __name__ == "__main__":
    main()
