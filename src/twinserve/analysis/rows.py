"""What a run's rows say about each side, block by block: the values that all analysis works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinserve.analysis.statistics import FEWEST_BLOCKS
from twinserve.records.events import EventKind, read_events
from twinserve.records.manifest import Block, Manifest
from twinserve.records.resources import readings_if_any
from twinserve.records.run import RunDirectory
from twinserve.records.samples import Phase, read_samples

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TIMES = ("elapsed_ms", "latency_ms", "connect_ms", "process_ms")
READING_US = 1_000_000  # a CPU reading tells of the second before it
ROUND_US = 250_000  # instances are read one after the other, each second anew
BLOCK, REPEAT = "block", "repeat"  # units of intervals
NO_FLOATS: Floats = np.empty(0)
NO_INTS: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class BlockRows:
    """The requests and readings of one finished block.

    ``measures`` holds a 1-D array by measure: times of answered requests in ms, and one value a
    second for CPU (percent of a core) and memory (MiB), summed over the side's instances.
    ``sent_us``, ``done_us`` and ``due_us`` are of all requests, failed ones included; ``repeat``
    counts how often both sides had been started anew before.
    """

    index: int
    start_us: int
    end_us: int
    user: Ints
    sent_us: Ints
    done_us: Ints
    failed: int
    cold: int
    measures: Mapping[str, Floats]
    due_us: Ints = field(default_factory=lambda: NO_INTS)
    repeat: int = 0


@dataclass(frozen=True)
class SideRows:
    """One side: its finished blocks in the order in which they ran.

    ``fewest_blocks`` is how many an interval takes, ``untold`` why none may be given at all.
    ``repeats`` is how often the plan starts both sides: above 1 a repeat, not a block, is the unit
    of every interval, since what an instance got at its start stays with all its blocks.
    """

    name: str
    blocks: Sequence[BlockRows]
    instance_starts: int | None  # in the whole run; None where nobody counted them
    fewest_blocks: int = FEWEST_BLOCKS
    untold: str | None = None
    repeats: int = 1

    @property
    def unit(self) -> str:
        """What an interval takes as independent: ``block`` or ``repeat``."""
        return REPEAT if self.repeats > 1 else BLOCK

    def values(self, measure: str) -> list[Floats]:
        """One array a unit, in the order in which they ran; empty ones where it has no value."""
        if self.unit == BLOCK:
            return [block.measures[measure] for block in self.blocks]
        return [part.pooled(measure) for part in self.by_repeat()]

    def by_repeat(self) -> list[SideRows]:
        """The side's blocks apart by repeat, each with its blocks as units."""
        found = sorted({block.repeat for block in self.blocks})
        return [
            replace(self, blocks=[b for b in self.blocks if b.repeat == number], repeats=1)
            for number in found
        ]

    def pooled(self, measure: str) -> Floats:
        """All values, in the order in which their requests began."""
        return np.concatenate([*(block.measures[measure] for block in self.blocks), NO_FLOATS])

    @property
    def requests(self) -> int:
        return sum(block.sent_us.size for block in self.blocks)

    @property
    def errors(self) -> int:
        return sum(block.failed for block in self.blocks)

    @property
    def cold_requests(self) -> int:
        return sum(block.cold for block in self.blocks)

    @property
    def throughput_rps(self) -> float:
        """Answered requests over the time of the blocks; 0 without blocks."""
        duration_s = sum(block.end_us - block.start_us for block in self.blocks) / 1e6
        return (self.requests - self.errors) / duration_s if duration_s > 0 else 0.0


def read_sides(run: RunDirectory, manifest: Manifest) -> tuple[SideRows, SideRows]:
    """Read both sides of a run, which may have been cut off at any moment.

    Raises:
        RecordError: there is no ``samples.csv``, or not even its header line.
    """
    first, second, _ = read_series(run, manifest)
    return first, second


def read_series(
    run: RunDirectory, manifest: Manifest
) -> tuple[SideRows, SideRows, SideRows | None]:
    """As :func:`read_sides`, and the matched contrast of a run that has one.

    Raises:
        RecordError: there is no ``samples.csv``, or not even its header line.
    """
    import polars as pl

    samples = read_samples(run.samples).with_columns(
        answered=pl.col("success").cast(pl.String) == "true",
        waited=pl.col("cold_ms").fill_null(0) > 0,
    )
    readings = _read_readings(run, manifest)
    starts = {} if manifest.remote else _instance_starts(run, samples)
    measured = samples.filter(pl.col("phase") == Phase.BLOCK.value).partition_by(
        "side", "block", as_dict=True
    )

    def series(name: str) -> SideRows:
        seconds = readings.filter(pl.col("side") == name)
        own = sorted((b for b in manifest.blocks if b.side == name), key=lambda b: b.index)
        rows = [_block(b, measured.get((name, b.index), samples.clear()), seconds) for b in own]
        counted = None if manifest.remote else starts.get(name, 0)
        repeats = manifest.workload.repeats
        return SideRows(name, rows, counted, untold=_untold(rows, repeats), repeats=repeats)

    first, second = manifest.sides
    contrast = series(manifest.contrast.name) if manifest.contrast else None
    return series(first), series(second), contrast


def _untold(blocks: Sequence[BlockRows], repeats: int) -> str | None:
    """Too few repeats leave every interval untold; of blocks the statistics say so themselves."""
    told = len({block.repeat for block in blocks if block.sent_us.size > block.failed})
    if repeats == 1 or told >= FEWEST_BLOCKS:
        return None
    return f"{FEWEST_BLOCKS} repeats with rows are needed, there are {told}"


def _read_readings(run: RunDirectory, manifest: Manifest) -> pl.DataFrame:
    """CPU and memory of a side a second, summed over its instances; empty when none were taken."""
    import polars as pl

    frame = readings_if_any(run.resources)
    at_us = (pl.col("at_ms") - manifest.started_epoch_ms) * 1000
    gap_us = pl.col("at_us").diff().over("side").fill_null(0)
    return (
        frame.with_columns(at_us=at_us)
        .sort("side", "at_us")
        .with_columns(reading=(gap_us > ROUND_US).cum_sum().over("side"))
        .group_by("side", "reading", maintain_order=True)
        .agg(pl.col("at_us").mean(), pl.col("cpu_percent", "memory_mib").sum())
    )


def _instance_starts(run: RunDirectory, samples: pl.DataFrame) -> dict[str, int]:
    """Instances that became ready, by side; without events, the requests that waited for one."""
    import polars as pl

    events = read_events(run.events)
    if events:
        ready = [event.side for event in events if event.event is EventKind.READY]
        return {side: ready.count(side) for side in ready}
    return dict(samples.filter(pl.col("waited")).group_by("side").len().iter_rows())


def _block(block: Block, rows: pl.DataFrame, seconds: pl.DataFrame) -> BlockRows:
    import polars as pl

    own = rows.sort("sent_us")
    answered = own.filter(pl.col("answered"))
    inside = seconds.filter(pl.col("at_us").is_between(block.start_us, block.end_us))
    whole = inside.filter(pl.col("at_us") >= block.start_us + READING_US)
    return BlockRows(
        index=block.index,
        start_us=block.start_us,
        end_us=block.end_us,
        user=own["user"].to_numpy(),
        sent_us=own["sent_us"].to_numpy(),
        done_us=own["done_us"].to_numpy(),
        failed=own.height - answered.height,
        cold=int(own["waited"].sum()),
        measures={name: floats(answered[name]) for name in TIMES}
        | {
            "elapsed_cold_ms": floats(answered.filter("waited")["elapsed_ms"]),
            "elapsed_warm_ms": floats(answered.filter(~pl.col("waited"))["elapsed_ms"]),
            "cpu_percent": floats(whole["cpu_percent"]),
            "memory_mib": floats(inside["memory_mib"]),
        },
        due_us=own["due_us"].to_numpy(),
        repeat=block.repeat,
    )


def floats(column: pl.Series) -> Floats:
    """The values that are there: a kept connection has no connect time, for one."""
    return column.drop_nulls().cast(float).to_numpy()
