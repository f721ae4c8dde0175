"""From a measured run to what a simulation draws from: work, starts, stops, sizes.

An instance is taken as lanes that work in the order of coming. How many lanes work at the same
time follows from the service's own words (Little: summed working time over busy time); the work of
each request is then what is left of its time on the instance after the lane was free.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinserve.analysis.served import Served, served
from twinserve.analysis.simulation.model import Behaviour, Floats, Level
from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.records.events import EventKind, InstanceEvent, read_events
from twinserve.records.logs import is_logs
from twinserve.records.manifest import read_manifest
from twinserve.records.resources import readings_if_any
from twinserve.records.run import RunDirectory
from twinserve.records.samples import Phase, read_samples
from twinserve.scaling.billing import busy_seconds

if TYPE_CHECKING:
    import polars as pl

LEVELS = (1, 2, 4, 8, 16, 32, 64, 1000)
LEAST_ROWS = 30  # of a level; fewer join the next one
LEAST_FIRSTS = 5
LEAST_REQUESTS = 30
MIN_WORK_S = 1e-6
QUICKEST = 0.1
Ints = NDArray[np.int64]
MEASURED = (Phase.WARMUP.value, Phase.BLOCK.value)


@dataclass(frozen=True)
class Calibrated:
    """One side: its deployment as it ran, what was measured of it, and from how much."""

    deployment: Deployment
    behaviour: Behaviour
    requests: int
    starts: int


def calibrated(run: RunDirectory) -> dict[str, Calibrated]:
    """Both sides of a run.

    Raises:
        RecordError: the run cannot be read.
        UsageError: a side has no start of an instance, or too few requests, to calibrate from.
    """
    import polars as pl

    if is_logs(run.manifest):
        raise UsageError(
            f"{run.path} holds two imported logs, which tell of no instance and no start; a "
            f"simulation needs a run of ours: twinserve compare. `twinserve cost` prices logs."
        )
    manifest = read_manifest(run.manifest)
    samples, events = read_samples(run.samples), read_events(run.events)
    readings = readings_if_any(run.resources)
    if not manifest.deployments:
        raise _no_start("A service elsewhere", run)
    found = {}
    for name, deployment in manifest.deployments.items():
        rows = samples.filter((pl.col("side") == name) & pl.col("phase").is_in(MEASURED))
        own = [event for event in events if event.side == name]
        if not _starts_s(own).size:
            raise _no_start(name, run)
        if rows.height < LEAST_REQUESTS:
            raise UsageError(
                f"{name} has {rows.height} requests in {run.path}; at least {LEAST_REQUESTS} are "
                f"needed to calibrate from. Measure longer: twinserve compare --profile quick"
            )
        behaviour = behaviour_of(rows, deployment, own, readings.filter(pl.col("side") == name))
        behaviour = replace(behaviour, images=manifest.workload.images)
        found[name] = Calibrated(deployment, behaviour, rows.height, behaviour.starts_s.size)
    return found


def behaviour_of(
    rows: pl.DataFrame,
    deployment: Deployment,
    events: Sequence[InstanceEvent],
    readings: pl.DataFrame,
) -> Behaviour:
    """What one side's rows, events and readings say of its times."""
    own = served(rows, deployment.concurrency)
    lanes = lanes_of(own, rows, deployment.concurrency)
    carried_s = _carried_s(own)
    own = replace(own, done_s=np.maximum(own.done_s - carried_s, own.placed_s))
    work_s, levels, first = worked(own, lanes)
    if deployment.concurrency == 1:  # two at a time are clocks that differ by a hair
        levels = np.ones_like(levels)
    return Behaviour(
        levels=_tables(work_s, levels),
        starts_s=_starts_s(events),
        first_s=work_s[first] if first.sum() >= LEAST_FIRSTS else np.empty(0),
        lanes=lanes,
        outside_s=float(own.outside_s.mean()) + carried_s,
        stop_s=_stop_s(events),
        cpu_a_lane=_cpu_a_lane(readings, lanes, deployment.cpu),
        egress_bytes=float(own.bytes.mean()),
    )


def lanes_of(own: Served, rows: pl.DataFrame, concurrency: int) -> int:
    """How many requests an instance works on at the same time; 0 where nothing shows a limit."""
    import polars as pl

    if concurrency == 1:
        return 1
    busy_s = sum(
        busy_seconds(zip(own.placed_s[here].tolist(), own.done_s[here].tolist(), strict=True), 1e-6)
        for here in (own.instance == name for name in np.unique(own.instance))
    )
    at_a_time = float((own.done_s - own.placed_s).sum()) / max(busy_s, 1e-9)
    told = rows.filter(pl.col("process_ms").is_not_null())
    if not told.height:
        return 0
    queue_ms = pl.col("queue_ms").fill_null(0.0)
    if "instance_queue_ms" in told.columns:
        queue_ms = pl.coalesce("instance_queue_ms", queue_ms)
    working = told.select(pl.max_horizontal(0.0, pl.col("process_ms") - queue_ms))
    mean_s = float(working.to_series().to_numpy().mean()) / 1000
    lanes = max(1, round(mean_s * own.size / max(busy_s, 1e-9)))
    return 0 if at_a_time >= 1.5 and lanes >= 0.8 * at_a_time else lanes


def _carried_s(own: Served) -> float:
    """Time between the service's own begin and end and those that the client saw: on the way, it
    keeps no lane busy. 0 where the service does not tell its time.

    Of requests that were alone on their instance, else of the quickest: under load, the rest also
    holds waits inside the server that no service sees.
    """
    _, levels, _ = worked(own, 0)
    rest_s = own.done_s - own.placed_s - own.process_s
    told = np.isfinite(rest_s)
    alone = rest_s[told & (levels == 1)]
    if alone.size >= LEAST_ROWS:
        return max(0.0, float(np.median(alone)))
    return max(0.0, float(np.quantile(rest_s[told], QUICKEST))) if told.any() else 0.0


def worked(own: Served, lanes: int) -> tuple[Floats, Ints, NDArray[np.bool_]]:
    """Each request's work in s, how many there were on its instance when it came (itself
    included), and whether it was the first one there."""
    work_s = np.empty(own.size)
    levels = np.empty(own.size, dtype=np.int64)
    first = np.zeros(own.size, dtype=bool)
    for name in np.unique(own.instance):
        here = np.flatnonzero(own.instance == name)
        placed_s, done_s = own.placed_s[here], own.done_s[here]
        gone = np.searchsorted(np.sort(done_s), placed_s, side="right")
        levels[here] = np.arange(1, here.size + 1) - gone
        work_s[here] = _lane_work(placed_s, done_s, lanes)
        first[here[0]] = True
    return np.maximum(work_s, MIN_WORK_S), np.maximum(levels, 1), first


def _lane_work(placed_s: Floats, done_s: Floats, lanes: int) -> Floats:
    """Done minus when a lane was free for it: the first lane to be free takes the next request."""
    if not lanes:
        return done_s - placed_s
    free = [0.0] * lanes
    work = np.empty(placed_s.size)
    for k, (placed, done) in enumerate(
        zip(placed_s.tolist(), np.sort(done_s).tolist(), strict=True)
    ):
        begun = max(placed, heapq.heappop(free))
        work[k] = max(done - begun, 0.0)
        heapq.heappush(free, max(done, begun))
    return work


def _tables(work_s: Floats, levels: Ints) -> list[Level]:
    """A sample a level, where there are rows enough; what is too few joins the next."""
    tables, begin = [], 0
    for most in LEVELS:
        here = (levels > begin) & (levels <= most)
        left = (levels > most).sum()
        if here.sum() >= LEAST_ROWS and (left >= LEAST_ROWS or left == 0):
            tables.append(Level(most, work_s[here]))
            begin = most
        if left == 0:
            break
    rest = levels > begin
    if rest.any() or not tables:
        tables.append(Level(LEVELS[-1], work_s[rest]))
    return tables


def _starts_s(events: Sequence[InstanceEvent]) -> Floats:
    starts = [
        event.start_ms / 1000
        for event in events
        if event.event is EventKind.READY and event.start_ms is not None
    ]
    return np.array(starts)


def _stop_s(events: Sequence[InstanceEvent]) -> float:
    """How long instances took to end, where their idle time tells when they were told to."""
    idle_ms: dict[str, float] = {}
    found = []
    for event in events:
        if event.event is EventKind.IDLE:
            idle_ms[event.instance] = event.at_ms
        words = event.detail.split()
        if event.event is EventKind.STOP and words[:2] == ["idle", "for"] and idle_ms:
            told_ms = idle_ms.get(event.instance, event.at_ms) + 1000 * float(words[2])
            found.append(max(0.0, event.at_ms - told_ms) / 1000)
    return float(np.median(found)) if found else 0.0


def _cpu_a_lane(readings: pl.DataFrame, lanes: int, cpu: float) -> float:
    """CPUs that a working lane keeps busy, from seconds under load; 0 where nobody read them.

    The upper quartile: a reading also covers the moments before the load and after it.
    """
    import polars as pl

    busy = readings.filter(pl.col("busy_requests") > 0)
    if not busy.height:
        return 0.0
    cpus = float(np.quantile(busy["cpu_percent"].to_numpy(), 0.75)) / 100
    working = float(np.mean(busy["busy_requests"].to_numpy()))
    return min(cpus / (min(working, lanes) if lanes else working), cpu)


def _no_start(name: str, run: RunDirectory) -> UsageError:
    return UsageError(
        f"{name} has no start of an instance in {run.path}, so there is no cold start to calibrate "
        f"from; measure again with `twinserve compare`, which starts both sides from zero."
    )
