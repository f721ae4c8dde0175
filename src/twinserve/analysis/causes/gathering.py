"""From a run's files to what the causes are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twinserve.analysis.causes.evidence import Evidence
from twinserve.analysis.causes.stages import StageRows, decompose, stages_of
from twinserve.analysis.comparison import Contrast, Gate
from twinserve.analysis.rows import READING_US, SideRows
from twinserve.records.manifest import Manifest
from twinserve.records.resources import readings_if_any
from twinserve.records.run import RunDirectory
from twinserve.records.samples import read_samples

if TYPE_CHECKING:
    import polars as pl


def gather(
    run: RunDirectory,
    manifest: Manifest,
    series: tuple[SideRows, SideRows, SideRows | None],
    contrast: Contrast | None,
    gates: Sequence[Gate],
    confidence: float,
) -> tuple[Evidence, str]:
    """The evidence of a run, and why it has no stages, where it has none.

    ``series`` are both sides and the matched contrast, if there is one.

    Raises:
        RecordError: ``samples.csv`` cannot be read.
    """
    first, second, third = series
    samples = read_samples(run.samples)
    told = [stages_of(samples, manifest, side) for side in (first, second)]
    untold = "; ".join(each for each in told if isinstance(each, str))
    rows = _both(told)
    beside = stages_of(samples, manifest, third) if third is not None else None
    return (
        Evidence(
            manifest=manifest,
            sides=(first, second),
            rows=rows,
            stages=decompose(
                *rows,
                (first, second),
                confidence,
                beside if isinstance(beside, StageRows) else None,
            )
            if rows
            else None,
            contrast=contrast,
            readings=_under_load(readings_if_any(run.resources), manifest),
            gates=gates,
            confidence=confidence,
        ),
        untold,
    )


def _both(told: Sequence[StageRows | str]) -> tuple[StageRows, StageRows] | None:
    first, second = told
    if isinstance(first, str) or isinstance(second, str):
        return None
    return first, second


def _under_load(readings: pl.DataFrame, manifest: Manifest) -> pl.DataFrame:
    """The readings whose second lay in a block of their own side."""
    import polars as pl

    at_us = (pl.col("at_ms") - manifest.started_epoch_ms) * 1000
    inside = pl.any_horizontal(
        pl.lit(False),
        *(
            (pl.col("side") == block.side)
            & at_us.is_between(block.start_us + READING_US, block.end_us + READING_US)
            for block in manifest.blocks
        ),
    )
    return readings.filter(inside)
