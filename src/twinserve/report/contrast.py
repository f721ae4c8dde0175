"""The matched contrast in a report: each difference, taken apart, as a table's rows."""

from __future__ import annotations

from dataclasses import dataclass

from twinserve.analysis.comparison import Comparison, Contrast, Estimate, Split, Summary
from twinserve.report.numbers import UNDETERMINED, format_interval, format_number, format_signed
from twinserve.report.tables import DifferenceCell

NAMES = {"mean": "mean", "p50": "median (p50)", "p95": "p95"}


@dataclass(frozen=True)
class ContrastRow:
    """One statistic: its value on the first side, the contrast and the second side, then the whole
    difference and its two parts."""

    name: str
    values: tuple[str, str, str]
    parts: tuple[DifferenceCell, DifferenceCell, DifferenceCell]


@dataclass(frozen=True)
class ContrastTable:
    """``columns`` are the three series, ``note`` says how to read the rows, or why there are
    none."""

    columns: tuple[str, str, str]
    rows: tuple[ContrastRow, ...]
    note: str


def contrast_table(comparison: Comparison) -> ContrastTable | None:
    """The table of a run that has a contrast."""
    found = comparison.contrast
    if found is None:
        return None
    first, second = comparison.sides
    columns = (first, found.name, second)
    summaries = (
        comparison.deployments[first].elapsed_ms,
        found.summary.elapsed_ms,
        comparison.deployments[second].elapsed_ms,
    )
    rows = tuple(_row(name, split, summaries) for name, split in found.splits.items())
    return ContrastTable(columns, rows, _note(found))


def _row(name: str, split: Split, summaries: tuple[Summary | None, ...]) -> ContrastRow:
    a, b, c = (
        UNDETERMINED if summary is None else format_number(getattr(summary, name))
        for summary in summaries
    )
    parts = (_cell(split.whole), _cell(split.settings), _cell(split.serving_stack))
    return ContrastRow(NAMES.get(name, name), (a, b, c), parts)


def _cell(estimate: Estimate) -> DifferenceCell:
    return DifferenceCell(format_signed(estimate.estimate), format_interval(estimate, signed=True))


def _note(found: Contrast) -> str:
    what = (
        f"The {found.name} is the {found.stack_of} with the settings of the {found.settings_of}, "
        f"loaded in the same groups of blocks as the two sides."
    )
    if not found.splits:
        return f"{what} It tells nothing here: {found.why}."
    return (
        f"{what} From the {found.stack_of} to the {found.name} only settings change, from the "
        f"{found.name} to the {found.settings_of} only the serving stack; both parts add up to "
        f"the whole difference. An interval that includes 0 may be nothing."
    )
