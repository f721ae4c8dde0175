"""What ``host.csv`` tells of the seconds in which a run's blocks were loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from twinserve.analysis.rows import Floats
from twinserve.records.host import host_if_any
from twinserve.records.manifest import Block, Manifest
from twinserve.records.resources import readings_if_any
from twinserve.records.run import RunDirectory

if TYPE_CHECKING:
    import polars as pl

COVERED = 0.8  # of the blocks' time: below it a full disk or a stopped machine left out too much
OWN_CHILDREN = "process"  # the runner whose instances are our child processes


@dataclass(frozen=True)
class Watched:
    """One value a second that lay in a block; ``*_percent`` are of one core, None is not told.

    ``others_percent`` is everything but generator, gateways and instances; ``overhead_percent`` the
    generator and the gateways. ``instances`` is how many each side had at once, at most, as far as
    ``resources.csv`` tells. ``blocks_s`` is how long the blocks were together.
    """

    cores: int
    blocks_s: float
    seconds: Floats
    generator_percent: Floats
    others_percent: Floats | None = None
    overhead_percent: Floats | None = None
    steal_percent: Floats | None = None
    lag_mean_ms: Floats | None = None
    lag_max_ms: Floats | None = None
    swapped_mib: Floats | None = None
    throttled: Floats | None = None
    pressure_percent: Floats | None = None
    heat_throttles: Floats | None = None
    instances: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_short(self) -> bool:
        """Whether so many seconds are missing that nothing can be said."""
        return float(self.seconds.sum()) < COVERED * self.blocks_s

    @property
    def short_sentence(self) -> str:
        return (
            f"host.csv tells of {self.seconds.sum():.0f} of the {self.blocks_s:.0f} seconds in "
            f"which blocks ran, which is too little to judge by."
        )


def mean_of(watched: Watched, values: Floats) -> float:
    """The mean over time."""
    return float(np.average(values, weights=watched.seconds))


def share_above(watched: Watched, values: Floats, limit: float) -> float:
    """The share of the time in which a value was above ``limit``."""
    return float(watched.seconds[values > limit].sum() / watched.seconds.sum())


def read_watched(run: RunDirectory, manifest: Manifest) -> Watched | None:
    """What was recorded beside the blocks; None for a run without ``host.csv``, or whose first
    block has not ended."""
    rows = host_if_any(run.host)
    spans = _spans(manifest.blocks)
    if not rows.height or not spans:
        return None
    at_us = (rows["at_ms"].to_numpy() - manifest.started_epoch_ms) * 1000
    period_us = rows["period_s"].to_numpy() * 1e6
    inside = rows.filter(_is_inside(at_us - period_us / 2, spans))
    served = _served(run, inside)
    return Watched(
        cores=int(inside["cores"].max() or 1),  # type: ignore[arg-type]
        blocks_s=sum(end - start for start, end in spans) / 1e6,
        seconds=inside["period_s"].to_numpy(),
        generator_percent=inside["generator_percent"].to_numpy(),
        others_percent=_others(inside, served, manifest.runner),
        overhead_percent=_overhead(inside, served, manifest.runner),
        steal_percent=_told(inside, "steal_percent"),
        lag_mean_ms=_told(inside, "lag_mean_ms"),
        lag_max_ms=_told(inside, "lag_max_ms"),
        swapped_mib=_sum(_told(inside, "swap_in_mib"), _told(inside, "swap_out_mib")),
        throttled=_told(inside, "nr_throttled"),
        pressure_percent=_told(inside, "pressure_percent"),
        heat_throttles=_told(inside, "heat_throttles"),
        instances=_instances(run, manifest),
    )


def _spans(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """When blocks ran, concurrent ones counted once, in microseconds of the run."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted((block.start_us, block.end_us) for block in blocks):
        if spans and start < spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((start, end))
    return spans


def _is_inside(at_us: Floats, spans: Sequence[tuple[int, int]]) -> pl.Series:
    import polars as pl

    starts, ends = (np.array(side, dtype=float) for side in zip(*spans, strict=True))
    place = np.searchsorted(starts, at_us, side="right") - 1
    return pl.Series((place >= 0) & (at_us < ends[np.maximum(place, 0)]))


def _told(rows: pl.DataFrame, name: str) -> Floats | None:
    """A column; None where nobody told it."""
    column = rows[name]
    if column.null_count() == rows.height:
        return None
    return column.fill_null(0).cast(float).to_numpy()


def _sum(first: Floats | None, second: Floats | None) -> Floats | None:
    return None if first is None or second is None else first + second


def _served(run: RunDirectory, rows: pl.DataFrame) -> Floats | None:
    """The instances' CPU in each row's time, percent of a core; None without a reading."""
    readings = readings_if_any(run.resources).sort("at_ms")
    if not readings.height:
        return None
    at_ms, used = readings["at_ms"].to_numpy(), np.cumsum(readings["cpu_percent"].to_numpy())
    total = np.concatenate([[0.0], used])
    ends = rows["at_ms"].to_numpy()
    begins = ends - 1000 * rows["period_s"].to_numpy()
    after, before = (np.searchsorted(at_ms, moment, side="right") for moment in (ends, begins))
    served: Floats = total[after] - total[before]
    return served


def _others(rows: pl.DataFrame, served: Floats | None, runner: str) -> Floats | None:
    """What nobody of ours used. Containers are not our children; their CPU is in their readings."""
    busy = _told(rows, "busy_percent")
    if busy is None or (runner not in (OWN_CHILDREN, "remote") and served is None):
        return None
    ours = rows["generator_percent"].to_numpy() + rows["platform_percent"].to_numpy()
    if runner != OWN_CHILDREN and served is not None:
        ours = ours + served
    return _not_below_0(busy - ours)


def _overhead(rows: pl.DataFrame, served: Floats | None, runner: str) -> Floats | None:
    """Generator and gateways: under plain processes what the platform used less the instances."""
    ours = rows["generator_percent"].to_numpy() + rows["platform_percent"].to_numpy()
    if runner == OWN_CHILDREN:
        return None if served is None else _not_below_0(ours - served)
    return _not_below_0(ours)


def _not_below_0(values: Floats) -> Floats:
    """Two readings of the same second are not taken at the same moment."""
    kept: Floats = np.maximum(values, 0)
    return kept


def _instances(run: RunDirectory, manifest: Manifest) -> dict[str, int]:
    """The most instances that a side had at once while it was loaded."""
    import polars as pl

    at_us = (pl.col("at_ms") - manifest.started_epoch_ms) * 1000
    readings = readings_if_any(run.resources).with_columns(at_us=at_us)
    found: dict[str, int] = {}
    for block in manifest.blocks:
        own = readings.filter(
            pl.col("side") == block.side, pl.col("at_us").is_between(block.start_us, block.end_us)
        )
        seconds = own.group_by(pl.col("at_us") // 1_000_000).agg(pl.col("instance").n_unique())
        most = seconds["instance"].max() or 0
        found[block.side] = max(found.get(block.side, 0), int(most))  # type: ignore[arg-type]
    return {side: number for side, number in found.items() if number}
