"""What a figure shows, as values: points, blocks, boxes and the range, made from a run's rows."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from twinserve.records.manifest import Block, Manifest
from twinserve.records.samples import Phase
from twinserve.report.measures import CPU, Measure

MOST_POINTS = 1_200  # a side; the page inlines every point of five figures
HIGHEST_KEPT = 100  # drawn in any case, so that thinning hides no outlier
WORTH_CUTTING = 1.3  # times the range: outliers nearer than that are shown where they are
READING_S = 1.0  # a CPU reading tells of the second before it


@dataclass(frozen=True)
class Band:
    """One block of one side: when it ran, in seconds of the figure, and its middle value."""

    side: str
    start_s: float
    end_s: float
    median: float | None


@dataclass(frozen=True)
class Box:
    """The values of one side over its blocks."""

    side: str
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


@dataclass(frozen=True)
class Series:
    """One side in one figure.

    ``points`` has the columns ``at_s, value, block``; ``total`` rows were recorded, ``beyond`` of
    them lie above the figure's range, ``first_block`` and ``last_block`` are the means of the
    side's own first and last block.
    """

    side: str
    points: pl.DataFrame
    total: int
    beyond: int
    first_block: float | None
    last_block: float | None
    cold: int  # requests that waited for an instance to start
    slowest_cold: float | None

    @property
    def shown(self) -> int:
        return self.points.height


@dataclass(frozen=True)
class FigureData:
    """Everything that one figure draws; ``top`` ends its vertical range, which begins at 0."""

    measure: Measure
    series: tuple[Series, Series]
    bands: tuple[Band, ...]
    boxes: tuple[Box, ...]
    top: float
    axis: str = "time since the first block began"
    shaded: bool = True  # whether a band is a time in which its side alone was under load

    @property
    def thinned(self) -> bool:
        return any(series.shown < series.total for series in self.series)

    @property
    def beyond(self) -> int:
        return sum(series.beyond for series in self.series)


def figure_data(
    measure: Measure, manifest: Manifest, samples: pl.DataFrame, resources: pl.DataFrame
) -> FigureData:
    """Values of one figure; its time begins with the first block of the run."""
    if measure.is_resource:
        rows = resource_rows(measure, manifest, resources)
    else:
        rows = request_rows(measure, manifest, samples)
    return drawn(measure, manifest, rows)


def request_rows(measure: Measure, manifest: Manifest, samples: pl.DataFrame) -> pl.DataFrame:
    """Answered requests of the finished blocks: ``side, at_s, value, block, cold``."""
    return (
        samples.filter(
            pl.col("phase") == Phase.BLOCK.value,
            pl.col("block").is_in([block.index for block in manifest.blocks]),
            _is_true("success"),
            pl.col(measure.key).is_not_null(),
        )
        .select(
            "side",
            at_s=pl.col("sent_us") / 1e6 - begin_s(manifest),
            value=pl.col(measure.key),
            block="block",
            cold=pl.col("cold_ms").fill_null(0) > 0,
        )
        .sort("at_s", maintain_order=True)
    )


def resource_rows(measure: Measure, manifest: Manifest, resources: pl.DataFrame) -> pl.DataFrame:
    """Readings from the first block to the last, the instances of a side added up.

    Columns as :func:`request_rows`; ``block`` is null while the other side was loaded.
    """
    run_s = (pl.col("at_ms") - manifest.started_epoch_ms) / 1e3
    end_s = max((block.end_us for block in manifest.blocks), default=0) / 1e6 - begin_s(manifest)
    by_instance = resources.group_by("side", "instance", second=run_s.floor()).agg(
        at_s=run_s.mean() - begin_s(manifest), value=pl.col(measure.key).mean()
    )
    rows = (
        by_instance.group_by("side", "second")
        .agg(pl.col("at_s").mean(), pl.col("value").sum())
        .filter(pl.col("at_s").is_between(0, end_s))
        .sort("at_s", "side")
    )
    own = _own_block(manifest, lag_s=READING_S if measure is CPU else 0)
    return rows.select("side", "at_s", "value", block=own, cold=pl.lit(False))


def drawn(measure: Measure, manifest: Manifest, rows: pl.DataFrame) -> FigureData:
    """The rows of both sides cut to a robust range and thinned."""
    measured = rows.filter(pl.col("block").is_not_null())
    return drawn_in(measure, manifest.sides, rows, _bands(manifest, measured))


def drawn_in(
    measure: Measure, sides: tuple[str, str], rows: pl.DataFrame, bands: tuple[Band, ...]
) -> FigureData:
    """As :func:`drawn`, with the bands in which the rows lie."""
    measured = rows.filter(pl.col("block").is_not_null())
    top = robust_top([_of(rows, side) for side in sides])
    first, second = (_series(_of(rows, side), side, top) for side in sides)
    boxes = tuple(_box(_of(measured, side), side) for side in sides if _of(measured, side).height)
    return FigureData(measure, (first, second), bands, boxes, top)


def robust_top(sides: list[pl.DataFrame]) -> float:
    """The end of the vertical range: far enough for the bulk of both sides, whatever the outliers.

    A side asks for its largest value, unless that lies well beyond its p95 and twice the way
    from its median to its p95: then for the latter.
    """
    wanted = [_wanted_top(rows["value"]) for rows in sides if rows.height]
    return max(wanted, default=1.0) * 1.04 or 1.0


def thin(rows: pl.DataFrame, most: int = MOST_POINTS) -> pl.DataFrame:
    """Where there are over ``most`` rows: every n-th of them by time, and the highest 100."""
    if rows.height <= most:
        return rows
    step = -(-rows.height // most)
    rank = pl.col("value").rank("ordinal", descending=True)
    return rows.filter((pl.int_range(pl.len()) % step == 0) | (rank <= HIGHEST_KEPT))


def begin_s(manifest: Manifest) -> float:
    """Start of the first block, in seconds since the run began."""
    return min((block.start_us for block in manifest.blocks), default=0) / 1e6


def _wanted_top(values: pl.Series) -> float:
    p50, p95, largest = (float(values.quantile(p, "linear") or 0) for p in (0.5, 0.95, 1))
    fence = p95 + 2 * (p95 - p50)
    return fence if p95 > p50 and largest > WORTH_CUTTING * fence else largest


def _series(rows: pl.DataFrame, side: str, top: float) -> Series:
    blocks = rows.drop_nulls("block").group_by("block").agg(pl.col("value").mean()).sort("block")
    means = blocks["value"].to_list()
    cold = rows.filter("cold")["value"].to_list()
    return Series(
        side=side,
        points=thin(rows).select("at_s", "value", "block"),
        total=rows.height,
        beyond=rows.filter(pl.col("value") > top).height,
        first_block=means[0] if means else None,
        last_block=means[-1] if means else None,
        cold=len(cold),
        slowest_cold=max(cold, default=None),
    )


def _box(rows: pl.DataFrame, side: str) -> Box:
    values = rows["value"]
    quantiles = (values.quantile(p, "linear") for p in (0.05, 0.25, 0.5, 0.75, 0.95))
    return Box(side, *(float(value or 0) for value in quantiles))


def _bands(manifest: Manifest, measured: pl.DataFrame) -> tuple[Band, ...]:
    by_block = measured.group_by("block").agg(pl.col("value").median())
    medians = dict(by_block.iter_rows())
    own = manifest.side_blocks
    return tuple(_band(block, manifest, medians.get(block.index)) for block in own)


def _band(block: Block, manifest: Manifest, median: float | None) -> Band:
    begin = begin_s(manifest)
    return Band(block.side, block.start_us / 1e6 - begin, block.end_us / 1e6 - begin, median)


def _own_block(manifest: Manifest, lag_s: float) -> pl.Expr:
    """The index of the side's own block that a reading tells of, or null."""
    found = pl.lit(None, dtype=pl.Int64)
    for block in manifest.blocks:
        band = _band(block, manifest, None)
        inside = pl.col("at_s").is_between(band.start_s + lag_s, band.end_s)
        found = (
            pl.when(inside & (pl.col("side") == block.side))
            .then(pl.lit(block.index))
            .otherwise(found)
        )
    return found


def _of(rows: pl.DataFrame, side: str) -> pl.DataFrame:
    return rows.filter(pl.col("side") == side)


def _is_true(column: str) -> pl.Expr:
    """JMeter writes ``true``; polars reads it as a boolean or, beside other text, as text."""
    return pl.col(column).cast(pl.String).str.to_lowercase() == "true"
