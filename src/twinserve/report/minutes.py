"""One record a minute of each side, as a table's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinserve.analysis.minutes import MinuteRow
from twinserve.report.numbers import format_limit

HEADINGS = ("minute", "requests", "errors", "mean, ms", "p50, ms", "p95, ms")


@dataclass(frozen=True)
class MinuteCells:
    """One minute: a cell for each of ``HEADINGS``."""

    side: str
    cells: tuple[str, ...]


def minute_cells(rows: Sequence[MinuteRow]) -> list[MinuteCells]:
    return [
        MinuteCells(
            row.side,
            (
                str(row.minute),
                f"{row.requests:,}",
                f"{row.errors:,}",
                *(format_limit(value) for value in (row.mean_ms, row.p50_ms, row.p95_ms)),
            ),
        )
        for row in rows
    ]
