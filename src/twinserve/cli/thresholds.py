"""``--fail-if``, ``--junit`` and ``--markdown``: what a CI job reads of a comparison."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinserve.cli.options import needs
from twinserve.errors import UsageError

if TYPE_CHECKING:
    from twinserve.analysis.comparison import Comparison
    from twinserve.analysis.thresholds import Judged, Threshold
    from twinserve.records.run import RunDirectory

CROSSED = 3  # the exit code; docs/ci.md
STDOUT = Path("-")
MARKS = {"kept": "ok", "crossed": "CROSSED", "untold": "NOT KNOWN"}


@dataclass(frozen=True)
class Wanted:
    """What a CI job asked for, read and understood before anything runs."""

    thresholds: Sequence[Threshold] = ()
    junit: Path | None = None
    markdown: Path | None = None

    def check_sides(self, sides: Sequence[str]) -> None:
        """Returns where every side that a threshold names is one of ``sides``.

        Raises:
            UsageError: one is not.
        """
        if self.thresholds:
            from twinserve.analysis.thresholds import check_sides

            check_sides(self.thresholds, sides)

    def say(self, line: str) -> None:
        """Print a line for people: where Markdown goes to standard output, beside it."""
        click.echo(line, err=self.markdown == STDOUT)


def threshold_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The three options, given to the verb as one argument ``wanted``."""

    @functools.wraps(function)
    def collected(
        *args: Any,
        fail_if: tuple[str, ...],
        junit: Path | None,
        markdown: Path | None,
        **others: Any,
    ) -> Any:
        return function(*args, wanted=_wanted(fail_if, junit, markdown), **others)

    found: Callable[..., Any] = collected
    for option in reversed(
        (
            click.option(
                "--fail-if",
                multiple=True,
                metavar="THRESHOLD",
                help='Exit with 3 if it holds: "function.p95>800ms", "errors>0"; again for more.',
            ),
            click.option(
                "--junit",
                type=click.Path(dir_okay=False, path_type=Path),
                help="Write gates and thresholds as JUnit XML into this file.",
            ),
            click.option(
                "--markdown",
                type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
                help="Write a summary for a pull request into this file; - is standard output.",
            ),
        )
    ):
        found = option(found)
    return found


def conclude(wanted: Wanted, comparison: Comparison, run: RunDirectory) -> None:
    """The last step of a verb: judge, write what was asked for, exit with 3 where one is crossed.

    Raises:
        UsageError: a file cannot be written, or a side is not in the comparison.
        SystemExit: a threshold was crossed, or what it looks at could not be computed.
    """
    from twinserve.analysis.thresholds import judge
    from twinserve.report.junit import junit_xml
    from twinserve.report.markdown import markdown_summary

    judged = judge(wanted.thresholds, comparison)
    if wanted.junit:
        _write(wanted.junit, junit_xml(comparison, judged, run), "--junit")
    if wanted.markdown:
        text = markdown_summary(comparison, judged)
        if wanted.markdown == STDOUT:
            click.echo(text, nl=False)
        else:
            _write(wanted.markdown, text.encode(), "--markdown")
    for each in judged:
        wanted.say(format_judged(each))
    if any(each.fails for each in judged):
        sys.exit(CROSSED)


def format_judged(judged: Judged) -> str:
    return f"Threshold {judged.threshold.text}: {MARKS[judged.finding]}. {judged.sentence}"


def _wanted(fail_if: Sequence[str], junit: Path | None, markdown: Path | None) -> Wanted:
    if not fail_if:
        return Wanted((), junit, markdown)
    with needs("lab"):
        from twinserve.analysis.thresholds import parse_threshold
    return Wanted([parse_threshold(text) for text in fail_if], junit, markdown)


def _write(path: Path, data: bytes, option: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be written: {error}.") from error
