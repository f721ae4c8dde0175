"""A calibrated simulation predicts a live run that it has not seen.

Two gateways with real instances run at the same time, their policies' times compressed: one under
steady traffic, from which the simulation is calibrated, and one under bursts, which it predicts
from their due times alone. Printed are the misses of p50, p95, cold starts and billable seconds::

    python benchmarks/simulation_prediction.py --seconds 240

Instances sleep instead of computing, so that other work on the machine does not blur what is
compared; ``--model`` runs a real one instead.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from twinserve.analysis.simulation.calibration import behaviour_of
from twinserve.analysis.simulation.model import Model
from twinserve.analysis.simulation.run import Result, simulate
from twinserve.deployment import Deployment, Kind
from twinserve.load.sender import Clock, Sender, Target
from twinserve.records.events import EventWriter, InstanceEvent, read_events
from twinserve.records.samples import Phase, SampleWriter, read_samples
from twinserve.runtime import instances
from twinserve.runtime.gateway import Gateway
from twinserve.runtime.instances import InstanceLog, ProcessRunner
from twinserve.scaling.billing import Mode
from twinserve.workload import Bursts, Poisson, Trace
from twinserve.workload.arrivals import due_times
from twinserve.workload.description import OpenLoop

SLEEPING = Path(__file__).with_name("sleeping_instance.py")
TIME_SCALE = 60.0
SEEDS = 20
STEADY = Poisson(rate_rps=4.0)
BURSTS = Bursts(rate_rps=0.0, burst_rps=4.0, every_s=7.0, lasts_s=5.0)
# How far a prediction may be off, as a share of what was seen.
ALLOWED = {"p50": 0.10, "p95": 0.20, "cold starts": 0.15, "billable seconds": 0.15}


@dataclass(frozen=True)
class Lived:
    """A live run: rows, events, what was billed, and when requests were due."""

    rows: pl.DataFrame
    events: list[InstanceEvent]
    due_s: tuple[float, ...]
    instances: int
    billable_s: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0, help="length of both runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", help="a bundle to run instead of sleeping")
    options = parser.parse_args()
    misses = predict(options.seconds, options.seed, options.model)
    held = all(abs(miss) <= ALLOWED[name] for name, miss in misses.items())
    print("Every prediction holds." if held else "A prediction is MISSED.")
    return 0 if held else 1


def predict(seconds: float, seed: int, model: str | None = None) -> dict[str, float]:
    """How far the prediction is off, by measure, as a share of what was seen; printed as well."""
    deployment = Deployment(
        "side", Kind.CONTAINER, model or "none", concurrency=6, idle_s=60.0, max_instances=6,
        policy="cloud-run",
    )  # fmt: skip
    usual = instances.instance_command
    if model is None:
        instances.instance_command = lambda *_: [sys.executable, "-S", str(SLEEPING), str(_[1])]
    try:
        with tempfile.TemporaryDirectory() as folder:
            steady, bursts = asyncio.run(_both(deployment, seconds, seed, Path(folder)))
    finally:
        instances.instance_command = usual
    behaviour = behaviour_of(steady.rows, deployment, steady.events, pl.DataFrame(schema=READING))
    calibrated = Model(deployment, behaviour).compressed(TIME_SCALE)
    return _compare(calibrated, bursts, seconds)


READING = {"busy_requests": pl.Int64, "cpu_percent": pl.Float64}


def _compare(model: Model, lived: Lived, seconds: float) -> dict[str, float]:
    arrivals = Trace(file="bursts", times_s=lived.due_s)
    results = [simulate(model, arrivals, seconds + 10, seed=s, batches=1) for s in range(SEEDS)]
    pooled = Result([batch for each in results for batch in each.batches], 0.0)
    latency_s = lived.rows["elapsed_ms"].to_numpy() / 1000
    seen = {
        "p50": float(np.quantile(latency_s, 0.5)),
        "p95": float(np.quantile(latency_s, 0.95)),
        "cold starts": float(lived.instances),
        "billable seconds": lived.billable_s,
    }
    predicted = {
        "p50": pooled.latency_quantile_s(0.5),
        "p95": pooled.latency_quantile_s(0.95),
        "cold starts": pooled.total("instances") / SEEDS,
        "billable seconds": pooled.total("busy_s") / SEEDS,
    }
    misses = {name: predicted[name] / seen[name] - 1 for name in seen}
    print(f"{latency_s.size} requests; {model.behaviour.lanes} lane(s) found")
    for name, miss in misses.items():
        print(
            f"{name}: predicted {predicted[name]:.4g}, seen {seen[name]:.4g}: {100 * miss:+.1f} % "
            f"(allowed {100 * ALLOWED[name]:.0f} %)"
        )
    return misses


async def _both(
    deployment: Deployment, seconds: float, seed: int, folder: Path
) -> tuple[Lived, Lived]:
    steady, bursts = await asyncio.gather(
        _live(deployment, STEADY, seconds, seed, folder / "steady"),
        _live(deployment, BURSTS, seconds, seed + 1, folder / "bursts"),
    )
    return steady, bursts


async def _live(
    deployment: Deployment, arrivals: OpenLoop, seconds: float, seed: int, folder: Path
) -> Lived:
    folder.mkdir()
    due = due_times(arrivals, seconds, np.random.default_rng(seed))
    events = EventWriter(folder / "instances.jsonl")
    log = InstanceLog(None)
    gateway = Gateway(deployment, ProcessRunner(log), events, time_scale=TIME_SCALE)
    url = await gateway.open()
    clock = Clock.start()
    with SampleWriter(folder / "samples.csv") as samples:
        sender = Sender(clock)
        async with asyncio.TaskGroup() as group:

            async def ask(due_s: float, seed: int) -> None:
                target = Target(deployment.name, url, Phase.BLOCK, 0)
                outcome = await sender.send(target, 1, seed, due_us=round(due_s * 1e6))
                samples.add(outcome.sample)

            for number, due_s in enumerate(due.tolist()):
                await asyncio.sleep(due_s - clock.now_us() / 1e6)
                group.create_task(ask(due_s, number))
        await asyncio.sleep(4.0)  # the last instances have been idle for long enough
        billed = next(each for each in gateway.billed() if each.mode is Mode.REQUEST)
    await gateway.drain()
    events.close()
    log.close()
    return Lived(
        read_samples(folder / "samples.csv"),
        read_events(folder / "instances.jsonl"),
        tuple(due.tolist()),
        billed.instances,
        billed.billable_s,
    )


if __name__ == "__main__":
    sys.exit(main())
