"""Another run beside this one, say of a cloud beside this machine: both runs' numbers, and in what
the two differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from twinserve.analysis.comparison import Comparison, Summary
from twinserve.report.numbers import UNDETERMINED, format_interval, format_list, format_number
from twinserve.report.setting import Setting
from twinserve.report.tables import CountRow, DifferenceCell, count_rows

THIS, OTHER = "this run", "other run"
COLUMNS = ("requests", "errors", "cold starts", "answers/s", "mean", "p50", "p95")
STATISTICS = ("mean", "p50", "p95")
DECIDE = ("Model", "Workload")  # what must be the same for times to be comparable
NOTE = (
    "Times are elapsed, in ms. Two runs are two occasions: what shifted between them (the machine, "
    "the network, the hour) is in no interval, so nothing is concluded from one run to the other. "
    "The interval under a value says how well its own run knows it."
)
ABSENT = "(not told)"


@dataclass(frozen=True)
class BesideRow:
    """One side of one run; ``head`` names both, ``cells`` are by ``COLUMNS``."""

    side: str
    head: str
    cells: tuple[DifferenceCell, ...]


@dataclass(frozen=True)
class Beside:
    """``differing`` are facts whose words differ: term, of this run, of the other one."""

    caution: str
    rows: tuple[BesideRow, ...]
    verdicts: tuple[tuple[str, str], ...]
    differing: tuple[tuple[str, str, str], ...]


def beside_section(
    setting: Setting, comparison: Comparison, other: tuple[Setting, Comparison]
) -> Beside:
    """What the page shows of this run and the other one."""
    runs = ((THIS, setting, comparison), (OTHER, *other))
    differing = tuple(_differing(dict(setting.facts), dict(other[0].facts)))
    return Beside(
        caution=_caution([term for term, _, _ in differing], other[0].warning),
        rows=tuple(row for name, its, found in runs for row in _rows(name, its, found)),
        verdicts=tuple((f"{name}, {its.where}", _verdict(found)) for name, its, found in runs),
        differing=differing,
    )


def _rows(name: str, setting: Setting, comparison: Comparison) -> Iterator[BesideRow]:
    for counts in count_rows(comparison):
        elapsed = comparison.deployments[counts.side].elapsed_ms
        cells = (*_counts(counts), *(_time(elapsed, each) for each in STATISTICS))
        yield BesideRow(counts.side, f"{counts.side}, {name} ({setting.where})", cells)


def _counts(row: CountRow) -> tuple[DifferenceCell, ...]:
    values = (row.requests, row.errors, row.cold_starts, row.throughput)
    return tuple(DifferenceCell(value, "") for value in values)


def _time(elapsed: Summary | None, statistic: str) -> DifferenceCell:
    if elapsed is None:
        return DifferenceCell(UNDETERMINED, "")
    estimate = elapsed.intervals.get(statistic)
    return DifferenceCell(
        format_number(getattr(elapsed, statistic)), format_interval(estimate) if estimate else ""
    )


def _verdict(comparison: Comparison) -> str:
    return f"{comparison.verdict.sentence} ({comparison.verdict.strength})"


def _differing(this: dict[str, str], other: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Terms in this run's order, then those that only the other one has."""
    for term in dict.fromkeys([*this, *other]):
        ours, theirs = this.get(term, ABSENT), other.get(term, ABSENT)
        if ours != theirs:
            yield term, ours, theirs


def _caution(differing: list[str], warning: str) -> str:
    found = [term.lower() for term in DECIDE if term in differing]
    said = [f"The two runs differ in {format_list(found)}: see below before you compare a number."]
    return " ".join([*(said if found else []), *([f"Other run: {warning}"] if warning else [])])
