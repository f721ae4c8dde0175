"""From a run directory to its verdict on the screen; what ``compare`` and ``report`` share."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from twinserve.cli.options import needs

if TYPE_CHECKING:
    from twinserve.analysis.comparison import Comparison
    from twinserve.records.run import RunDirectory

PAGE_HINT = "See both sides answer on a page: twinserve up (in a checkout: make up)"
SIGNS = {"pass": "ok", "fail": "FAILED", "unknown": "unknown"}


def analyse(run: RunDirectory) -> Comparison:
    """Write ``comparison.json``, ``report.html`` and the figures of a run.

    Raises:
        RecordError: the run cannot be read, or holds nothing yet.
    """
    with needs("lab"):
        from twinserve.analysis.compare import compare_run
        from twinserve.analysis.comparison import write_comparison
        from twinserve.report.build import write_report
    comparison = compare_run(run)
    write_comparison(run.comparison, comparison)
    write_report(run, comparison)
    return comparison


def format_verdict(comparison: Comparison, run: RunDirectory) -> Iterator[str]:
    """The lines that a terminal shows of a comparison."""
    verdict = comparison.verdict
    yield f"Verdict ({verdict.strength}): {verdict.sentence}"
    yield from (f"  - {reason}" for reason in verdict.reasons)
    yield "Gates: " + ", ".join(f"{gate.name} {SIGNS[gate.status]}" for gate in comparison.gates)
    yield f"Report: {run.report}"
    yield PAGE_HINT


def open_in_browser(path: Path) -> bool:
    """Show a file in the user's browser; False where there is none."""
    return webbrowser.open(path.resolve().as_uri())
