"""From a run directory to its verdict on the screen; what ``compare`` and ``report`` share."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from twinserve.cli.options import check_lab
from twinserve.cli.purpose import purpose_before
from twinserve.errors import UsageError
from twinserve.records.lines import not_written

if TYPE_CHECKING:
    from twinserve.analysis.comparison import Comparison
    from twinserve.analysis.purpose import Purpose
    from twinserve.records.run import RunDirectory

PAGE_HINT = "See both sides answer on a page: twinserve up (in a checkout: make up)"
SIGNS = {"pass": "ok", "fail": "FAILED", "unknown": "unknown"}


def analyse(
    run: RunDirectory, purpose: Purpose | None = None, beside: RunDirectory | None = None
) -> Comparison:
    """Write ``comparison.json``, ``report.html`` and the figures of a run, for a purpose; None is
    that of the analysis before, if there was one. ``beside`` is another run that
    the report shows as well.

    Raises:
        RecordError: the run cannot be read or written, or holds nothing yet.
        UsageError: it searched for rates, and compared nothing.
    """
    if run.rates.exists():
        raise UsageError(
            f"{run.path} holds a search for the highest rate, which compares nothing; its result "
            f"is {run.rates}."
        )
    check_lab()
    from twinserve.analysis.answering import answer
    from twinserve.analysis.comparison import write_comparison
    from twinserve.analysis.simulation.breaking_even import break_even
    from twinserve.report.build import write_report

    comparison = answer(run, purpose or purpose_before(run))
    try:
        write_comparison(run.comparison, comparison)
        write_report(run, comparison, break_even(run, comparison), beside)
    except OSError as error:
        raise not_written(run.path, error) from error
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
