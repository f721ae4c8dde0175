"""What each side of a run used, block by block: requests, billable time, bytes, starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from twinserve.analysis.logs import FEW_BATCHES, batch_starts
from twinserve.analysis.rows import Floats
from twinserve.analysis.served import Served, served
from twinserve.analysis.statistics import FEWEST_BLOCKS
from twinserve.deployment import SIDES, Deployment, Kind, fair_defaults
from twinserve.errors import RecordError
from twinserve.records.billing import read_billing
from twinserve.records.events import EventKind, read_events
from twinserve.records.logs import is_logs, read_logs
from twinserve.records.manifest import Manifest, read_manifest
from twinserve.records.run import RunDirectory
from twinserve.records.samples import Phase, read_samples
from twinserve.scaling.billing import Mode, billing_rules, busy_seconds, rounded_up

if TYPE_CHECKING:
    import polars as pl

UNROUNDED_S = 1e-6


@dataclass(frozen=True)
class BlockUsage:
    """One block, or batch of a log.

    ``busy_s`` is instance time with at least one request, ``billable_s`` the same rounded up as
    billed; ``calls_s`` and ``billable_calls_s`` count each request by itself, as the 1st generation
    does.
    """

    requests: int
    busy_s: float
    billable_s: float
    calls_s: float
    billable_calls_s: float
    egress_bytes: float


@dataclass(frozen=True)
class SideUsage:
    """One side. ``whole`` is the entire run or log, unmeasured requests included; ``starts_s`` how
    long each start of an instance took; ``assumed`` what nobody wrote down."""

    deployment: Deployment
    blocks: Sequence[BlockUsage]
    whole: BlockUsage
    starts_s: Sequence[float] = ()
    images: float = 1.0  # a request
    fewest_blocks: int = FEWEST_BLOCKS
    on_platform: bool = False  # its times are those of a cloud already
    assumed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.deployment.name


def run_usage(
    run: RunDirectory, cpu: float | None = None, memory_mib: int | None = None
) -> list[SideUsage]:
    """What the sides used; ``cpu`` and ``memory_mib`` are for logs, which name neither.

    Raises:
        RecordError: the run cannot be read, or a side has no answered request in a finished block.
    """
    found = list(_of_logs(run, cpu, memory_mib) if is_logs(run.manifest) else _of_run(run))
    for side in found:
        if not sum(block.requests for block in side.blocks):
            raise RecordError(
                f"{side.name} has no answered request in a finished block of {run.path}, so there "
                f"is nothing to price; measure again with: twinserve compare"
            )
    return found


# A run of ours


def _of_run(run: RunDirectory) -> Iterator[SideUsage]:
    import polars as pl

    manifest = read_manifest(run.manifest)
    samples = read_samples(run.samples)
    meter = read_billing(run.billing) if run.billing.exists() else None
    events = read_events(run.events)
    for name, deployment in _deployments(manifest).items():
        rows = samples.filter(pl.col("side") == name)
        whole = _usage(served(rows, deployment.concurrency))
        if meter is not None:
            counted = meter.filter(side=name, mode=Mode.REQUEST.value)["billable_s"].to_numpy()
            whole = replace(whole, billable_s=_total(counted))
        yield SideUsage(
            deployment,
            list(_blocks(manifest, rows, deployment)),
            whole,
            starts_s=[
                event.start_ms / 1000
                for event in events
                if event.side == name and event.event is EventKind.READY and event.start_ms
            ],
            images=manifest.workload.images,
            on_platform=name in manifest.remote,
            assumed=(_assumption(deployment, "the service"),) if name in manifest.remote else (),
        )


def _deployments(manifest: Manifest) -> dict[str, Deployment]:
    """The two sides as they ran; of services elsewhere what their kind usually is."""
    return manifest.deployments or {
        name: _assumed_deployment(name, None, None, service.kind)
        for name, service in manifest.remote.items()
    }


def _blocks(manifest: Manifest, rows: pl.DataFrame, deployment: Deployment) -> Iterator[BlockUsage]:
    import polars as pl

    measured = rows.filter(pl.col("phase") == Phase.BLOCK.value)
    for block in manifest.blocks:
        if block.side == deployment.name:
            own = served(measured.filter(pl.col("block") == block.index), deployment.concurrency)
            yield _usage(own)


def _total(counted_s: Floats) -> float:
    """What the meter counted in all; a side that was started anew counts from 0 again."""
    if not counted_s.size:
        return 0.0
    return float(counted_s[-1] + counted_s[:-1][np.diff(counted_s) < 0].sum())


# Two imported logs


def _of_logs(run: RunDirectory, cpu: float | None, memory_mib: int | None) -> Iterator[SideUsage]:
    import polars as pl

    manifest = read_logs(run.manifest)
    samples = read_samples(run.samples).filter(pl.col("phase") == Phase.LOG.value)
    for name in manifest.sides:
        deployment = _assumed_deployment(name, cpu, memory_mib)
        own = served(samples.filter(pl.col("side") == name), deployment.concurrency)
        starts = batch_starts(own.size)
        order = np.arange(own.size)
        batches = [
            _usage(own.where((order >= begin) & (order < end)))
            for begin, end in zip(starts, [*starts[1:], own.size], strict=True)
        ]
        yield SideUsage(
            deployment,
            batches,
            _usage(own),
            fewest_blocks=FEW_BATCHES,
            on_platform=True,
            assumed=(_assumption(deployment, "the log"),),
        )


def _assumed_deployment(
    name: str, cpu: float | None, memory_mib: int | None, kind: Kind | None = None
) -> Deployment:
    """The fair default of the kind, or of the side's name; of any other name a function, one
    request at a time."""
    usual = fair_defaults("unknown", idle_s=900.0)
    base = usual[kind.value if kind else name if name in SIDES else Kind.FUNCTION.value]
    return replace(base, name=name, cpu=cpu or base.cpu, memory_mib=memory_mib or base.memory_mib)


def _assumption(deployment: Deployment, teller: str) -> str:
    return (
        f"{deployment.name}: {teller} names no sizes; taken to be a {deployment.kind} with "
        f"{deployment.cpu:g} CPU, {deployment.memory_mib:,} MiB and "
        f"{deployment.concurrency} request(s) at a time (--cpu, --memory); it names no instances "
        f"either, so each request is counted by itself"
    )


# What rows say


def _usage(own: Served) -> BlockUsage:
    step_s = billing_rules().round_up_s.value
    spans = _spans(own)
    calls = own.done_s - own.placed_s
    return BlockUsage(
        requests=own.size,
        busy_s=sum(busy_seconds(each, UNROUNDED_S) for each in spans),
        billable_s=sum(busy_seconds(each, step_s) for each in spans),
        calls_s=float(calls.sum()),
        billable_calls_s=sum(rounded_up(call, step_s) for call in calls.tolist()),
        egress_bytes=float(own.bytes.sum()),
    )


def _spans(own: Served) -> list[list[tuple[float, float]]]:
    """An instance's requests (begin, end) a list; where rows name none, each by itself."""
    spans = list(zip(own.placed_s.tolist(), own.done_s.tolist(), strict=True))
    if not own.names_instances:
        return [[span] for span in spans]
    names = np.unique(own.instance)
    return [
        [span for span, here in zip(spans, own.instance == name, strict=True) if here]
        for name in names
    ]
