"""The tables of a report: a comparison's values as text, a dash where the data cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

from twinserve.analysis.comparison import Comparison, Estimate
from twinserve.report.measures import TABLE, Measure
from twinserve.report.numbers import (
    UNDETERMINED,
    format_interval,
    format_mean,
    format_number,
    format_signed,
)


@dataclass(frozen=True)
class CountRow:
    side: str
    requests: str
    errors: str
    cold_starts: str
    throughput: str


@dataclass(frozen=True)
class MeasureRow:
    """One measure of one side: ``mean ± std``, then p50, p90, p95, p99 and max."""

    side: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class DifferenceCell:
    estimate: str
    interval: str


@dataclass(frozen=True)
class MeasureGroup:
    """One measure: a row a side, and the differences of the two (mean, p50, p95, ratio of means)."""

    title: str
    unit: str
    rows: tuple[MeasureRow, ...]
    differences: tuple[DifferenceCell, ...]


STATISTICS = ("mean ± std", "p50", "p90", "p95", "p99", "max")
DIFFERENCES = ("of means", "of medians (p50)", "of p95")
NO_CELL = DifferenceCell(UNDETERMINED, "")


def count_rows(comparison: Comparison) -> list[CountRow]:
    return [
        CountRow(
            side,
            f"{summary.requests:,}",
            f"{summary.errors:,}",
            f"{summary.cold_starts:,}",
            format_number(summary.throughput_rps),
        )
        for side, summary in comparison.deployments.items()
    ]


def measure_groups(comparison: Comparison) -> list[MeasureGroup]:
    return [_group(measure, comparison) for measure in TABLE]


def shows_undetermined(comparison: Comparison) -> bool:
    """Whether a dash stands anywhere in the tables."""
    cells = [
        text
        for group in measure_groups(comparison)
        for text in (
            *(cell for row in group.rows for cell in row.cells),
            *(part for cell in group.differences for part in (cell.estimate, cell.interval)),
        )
    ]
    return any(UNDETERMINED in text for text in cells)


def _group(measure: Measure, comparison: Comparison) -> MeasureGroup:
    rows = tuple(
        MeasureRow(side, _cells(measure, comparison, side)) for side in comparison.sides
    )
    return MeasureGroup(measure.title, measure.unit, rows, _differences(measure, comparison))


def _cells(measure: Measure, comparison: Comparison, side: str) -> tuple[str, ...]:
    summary = getattr(comparison.deployments[side], measure.key)
    if summary is None:
        return (UNDETERMINED,) * len(STATISTICS)
    quantiles = (summary.p50, summary.p90, summary.p95, summary.p99, summary.max)
    return (format_mean(summary), *(format_number(value) for value in quantiles))


def _differences(measure: Measure, comparison: Comparison) -> tuple[DifferenceCell, ...]:
    found = comparison.differences.get(measure.key)
    if found is None:
        return (NO_CELL,) * (len(DIFFERENCES) + 1)
    ratio = found.ratio_of_means
    return (
        *(_signed(estimate) for estimate in (found.mean, found.p50, found.p95)),
        DifferenceCell(format_number(ratio.estimate), format_interval(ratio)),
    )


def _signed(estimate: Estimate) -> DifferenceCell:
    return DifferenceCell(format_signed(estimate.estimate), format_interval(estimate, signed=True))
