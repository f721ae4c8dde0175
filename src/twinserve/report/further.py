"""The tables after the first two: how well each side serves, how large a difference is, and how
well it is known."""

from __future__ import annotations

from dataclasses import dataclass

from twinserve.analysis.comparison import Comparison, Estimate, Precision, SideSummary
from twinserve.analysis.statistics import rows_needed
from twinserve.report.measures import ELAPSED, TABLE
from twinserve.report.numbers import UNDETERMINED, format_number
from twinserve.report.tables import NO_CELL, DifferenceCell, ratio_cell, signed_cell

RATIOS = ("p50", "p90", "p95", "p99")
STATISTICS = {"mean": "mean", "p50": "median (p50)", "p95": "p95"}
WIDTHS = ("10", "5", "2", "1")


@dataclass(frozen=True)
class Row:
    """``side`` is set where a row belongs to one, and its colour goes with it."""

    head: str
    cells: tuple[DifferenceCell, ...]
    side: str = ""


@dataclass(frozen=True)
class Table:
    """``stem`` is the table's id on the page."""

    stem: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str


def further_tables(comparison: Comparison) -> list[Table]:
    """Those of the three tables that the comparison has values for; an older file has none."""
    tables = (_service_levels(comparison), _effects(comparison), _precision(comparison))
    return [table for table in tables if table.rows]


def _service_levels(comparison: Comparison) -> Table:
    told = [(side, comparison.deployments[side]) for side in comparison.sides]
    rows = tuple(Row(side, _service_cells(found), side) for side, found in told if found.apdex)
    apdex = next((found.apdex for _, found in told if found.apdex), None)
    goodput = next((found.goodput for _, found in told if found.goodput), None)
    limit = f"{goodput.limit_ms:,.0f} ms" if goodput else "the limit"
    times = f"{apdex.satisfied_ms:,.0f} and {apdex.tolerated_ms:,.0f} ms" if apdex else ""
    return Table(
        "service-level",
        "How well each side serves",
        (
            "Side",
            "APDEX",
            f"% answered within {limit}",
            f"goodput within {limit}, answers a second",
        ),
        rows,
        f"APDEX at {times}: the share of requests answered within the first time, and half of "
        "those within the second; 1 is best, a failed request counts as 0, as in JMeter.",
    )


def _service_cells(found: SideSummary) -> tuple[DifferenceCell, ...]:
    goodput = found.goodput
    return (
        ratio_cell(found.apdex.score) if found.apdex else NO_CELL,
        _percent(goodput.share) if goodput else NO_CELL,
        ratio_cell(goodput.rps) if goodput else NO_CELL,
    )


def _effects(comparison: Comparison) -> Table:
    first, second = comparison.sides
    rows = []
    for measure in TABLE:
        found = comparison.differences.get(measure.key)
        if found is None or not (found.ratios or found.superiority):
            continue
        cells = (
            *(ratio_cell(found.ratios.get(name)) for name in RATIOS),
            signed_cell(found.effect_size) if found.effect_size else NO_CELL,
            _percent(found.superiority) if found.superiority else NO_CELL,
        )
        rows.append(Row(measure.title, cells))
    return Table(
        "effects",
        f"Ratios, {first} over {second}, and effect sizes",
        (
            "Measure",
            *RATIOS,
            "effect size",
            f"{second} lower, % of pairs",
        ),
        tuple(rows),
        f"Effect size: the difference of means ({second} minus {first}) over the standard "
        "deviation of single values, between blocks and within (Hedges' total-variance effect "
        f"size). The last column: how often a value of the {second}, drawn at random, is below one "
        f"of the {first}; 50 % is no difference. An interval of p99 takes "
        f"{rows_needed(0.99):,} values a side.",
    )


def _precision(comparison: Comparison) -> Table:
    found = comparison.precision
    rows = tuple(
        Row(title, _precision_cells(found[name]))
        for name, title in STATISTICS.items()
        if name in found
    )
    return Table(
        "precision",
        f"How well the differences are known: {ELAPSED.title.lower()}",
        (
            "Statistic",
            "known to",
            "detectable",
            *(f"blocks a side for ±{width} %" for width in WIDTHS),
        ),
        rows,
        "Known to: half the width of the difference's interval, in percent of the "
        f"{comparison.sides[1]}. Detectable: a difference that 95 % of such runs tell from none. "
        "The last columns: how many blocks a side (repeats, where there are several) such an "
        "interval would take, if the spread stays as it is.",
    )


def _precision_cells(found: Precision) -> tuple[DifferenceCell, ...]:
    shares = (found.half_width, found.detectable)
    return (
        *(
            DifferenceCell(_share(share, "±" if n == 0 else ""), "")
            for n, share in enumerate(shares)
        ),
        *(
            DifferenceCell(
                f"{found.blocks_for[width]:,}" if width in found.blocks_for else UNDETERMINED, ""
            )
            for width in WIDTHS
        ),
    )


def _share(value: float | None, sign: str) -> str:
    if value is None:
        return UNDETERMINED
    return f"{sign}{format_number(100 * value)}\N{NO-BREAK SPACE}%"


def _percent(share: Estimate) -> DifferenceCell:
    low, high = (None if v is None else 100 * v for v in (share.low, share.high))
    return ratio_cell(Estimate(100 * share.estimate, low, high))
