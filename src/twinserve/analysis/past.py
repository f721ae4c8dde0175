"""What a run of the past tells a plan: how far its blocks lie apart, and how long answers take."""

from __future__ import annotations

from dataclasses import dataclass

from twinserve.analysis.planning import Spread, spread_of
from twinserve.analysis.rows import read_sides
from twinserve.analysis.summary import DECIDING
from twinserve.records.manifest import read_manifest
from twinserve.records.run import RunDirectory


@dataclass(frozen=True)
class PastRun:
    """The spread of one run, and the mean answer time of its slower side, None without answers.

    ``unit`` is what its intervals count: blocks, or repeats of a run that has several.
    """

    spread: Spread
    unit: str
    response_s: float | None


def read_past(run: RunDirectory) -> PastRun:
    """Read what ``run`` shows of elapsed time.

    Raises:
        RecordError: it is no run directory, or its rows are damaged.
    """
    manifest = read_manifest(run.manifest)
    first, second = read_sides(run, manifest)
    means_ms = [times.mean() for side in (first, second) if (times := side.pooled(DECIDING)).size]
    return PastRun(
        spread_of(first.values(DECIDING), second.values(DECIDING), f"the spread of {run.path}"),
        first.unit,
        float(max(means_ms)) / 1000 if means_ms else None,
    )
