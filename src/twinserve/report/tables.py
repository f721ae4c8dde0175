"""The tables of a report: a comparison's values as text, a dash where the data cannot tell."""

from __future__ import annotations

from dataclasses import dataclass

from twinserve.analysis.comparison import Comparison, Estimate, Summary
from twinserve.analysis.statistics import EQUIVALENCE, FEWEST_BLOCKS, Finding, rows_needed
from twinserve.records.manifest import Manifest
from twinserve.report.measures import TABLE, Measure
from twinserve.report.numbers import (
    UNDETERMINED,
    format_count,
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
    """One measure of one side: ``mean ± std``, then p50, p90, p95, p99 and max; ``intervals`` are
    those of the same cells, empty where there is none."""

    side: str
    cells: tuple[str, ...]
    intervals: tuple[str, ...]


@dataclass(frozen=True)
class DifferenceCell:
    """A difference; ``finding`` says what its interval means, in a word or two."""

    estimate: str
    interval: str
    finding: str = ""


@dataclass(frozen=True)
class MeasureGroup:
    """One measure: a row a side, and the differences of mean, p50, p95 and the ratio."""

    title: str
    unit: str
    rows: tuple[MeasureRow, ...]
    differences: tuple[DifferenceCell, ...]


STATISTICS = ("mean ± std", "p50", "p90", "p95", "p99", "max")
INTERVALS = ("mean", "p50", "p90", "p95", "p99", "max")
DIFFERENCES = ("of means", "of medians (p50)", "of p95")
ONLY_SOME = (
    "a measure has too few values (an interval of p95 needs "
    f"{rows_needed(0.95):,} a side, and CPU and memory are read once a second), or its blocks "
    "differ so much that a limit lies outside what was measured"
)
NO_CELL = DifferenceCell(UNDETERMINED, "")


def count_rows(comparison: Comparison) -> list[CountRow]:
    return [
        CountRow(
            side,
            f"{summary.requests:,}",
            f"{summary.errors:,}",
            UNDETERMINED if summary.cold_starts is None else f"{summary.cold_starts:,}",
            format_number(summary.throughput_rps),
        )
        for side, summary in comparison.deployments.items()
    ]


def measure_groups(comparison: Comparison) -> list[MeasureGroup]:
    """A group a measure; of logs only those that one of the two has."""
    measures = [m for m in TABLE if comparison.allowance is None or _is_there(m, comparison)]
    return [_group(measure, comparison) for measure in measures]


def confidence(comparison: Comparison) -> str:
    """The intervals' confidence in percent: '95'."""
    found = {difference.confidence for difference in comparison.differences.values()}
    return " or ".join(f"{100 * value:g}" for value in sorted(found)) or "95"


def dash_note(comparison: Comparison, manifest: Manifest) -> str:
    """Why a dash stands where it does; empty where there is none."""
    if not shows_dash(comparison):
        return ""
    reasons = [
        reason
        for side in comparison.sides
        for reason in _reasons(side, comparison.deployments[side].elapsed_ms, manifest)
    ]
    return f"{'; '.join(reasons) or ONLY_SOME}."


def _is_there(measure: Measure, comparison: Comparison) -> bool:
    return any(getattr(side, measure.key) for side in comparison.deployments.values())


def _reasons(side: str, elapsed: Summary | None, manifest: Manifest) -> list[str]:
    if elapsed is None:
        return [f"the {side} has no answered request in a finished block"]
    blocks = sum(block.side == side for block in manifest.blocks)
    reasons = []
    if blocks < FEWEST_BLOCKS:
        reasons.append(
            f"the {side} finished {format_count(blocks, 'block')}, and an interval needs at least "
            f"{FEWEST_BLOCKS}"
        )
    needed = rows_needed(0.95)
    if elapsed.count < needed:
        reasons.append(
            f"the {side} answered {format_count(elapsed.count, 'request')}, and an interval of p95 "
            f"needs at least {needed:,}"
        )
    return reasons


def shows_dash(comparison: Comparison) -> bool:
    return any(
        UNDETERMINED in text
        for group in measure_groups(comparison)
        for text in (
            *(cell for row in group.rows for cell in row.cells),
            *(part for cell in group.differences for part in (cell.estimate, cell.interval)),
        )
    )


def _group(measure: Measure, comparison: Comparison) -> MeasureGroup:
    rows = tuple(
        MeasureRow(side, _cells(measure, comparison, side), _intervals(measure, comparison, side))
        for side in comparison.sides
    )
    return MeasureGroup(measure.title, measure.unit, rows, _differences(measure, comparison))


def _cells(measure: Measure, comparison: Comparison, side: str) -> tuple[str, ...]:
    summary = getattr(comparison.deployments[side], measure.key)
    if summary is None:
        return (UNDETERMINED,) * len(STATISTICS)
    quantiles = (summary.p50, summary.p90, summary.p95, summary.p99, summary.max)
    return (format_mean(summary), *(format_number(value) for value in quantiles))


def _intervals(measure: Measure, comparison: Comparison, side: str) -> tuple[str, ...]:
    summary = getattr(comparison.deployments[side], measure.key)
    found = summary.intervals if summary else {}
    return tuple(format_interval(found[name]) if name in found else "" for name in INTERVALS)


def _differences(measure: Measure, comparison: Comparison) -> tuple[DifferenceCell, ...]:
    found = comparison.differences.get(measure.key)
    if found is None:
        return (NO_CELL,) * (len(DIFFERENCES) + 1)
    told = {"mean": found.mean, "p50": found.p50, "p95": found.p95}
    return (
        *(
            signed_cell(estimate, finding_words(found.findings.get(name, ""), comparison))
            for name, estimate in told.items()
        ),
        ratio_cell(found.ratio_of_means),
    )


def finding_words(finding: str, comparison: Comparison) -> str:
    """What an interval says of a difference: 'function lower'; empty in files that do not tell."""
    first, second = comparison.sides
    words: dict[str, str] = {
        Finding.EQUIVALENT: f"equal within {100 * EQUIVALENCE:g}\N{NO-BREAK SPACE}%",
        Finding.FIRST: f"{first} lower",
        Finding.SECOND: f"{second} lower",
        Finding.INCONCLUSIVE: "inconclusive",
        Finding.UNDETERMINED: "undetermined",
    }
    return words.get(finding, "")


def signed_cell(estimate: Estimate, finding: str = "") -> DifferenceCell:
    interval = format_interval(estimate, signed=True)
    return DifferenceCell(format_signed(estimate.estimate), interval, finding)


def ratio_cell(ratio: Estimate | None) -> DifferenceCell:
    if ratio is None:  # the second value is 0
        return NO_CELL
    return DifferenceCell(format_number(ratio.estimate), format_interval(ratio))
