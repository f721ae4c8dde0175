"""``twinserve report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinserve.cli.purpose import purpose_options
from twinserve.cli.thresholds import Wanted, conclude, threshold_options
from twinserve.cli.verdict import analyse, format_verdict, open_in_browser
from twinserve.errors import UsageError
from twinserve.records.run import RunDirectory

if TYPE_CHECKING:
    from twinserve.analysis.purpose import Purpose


@click.command(epilog="Example: twinserve report runs/eight-users --open")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--open", "show", is_flag=True, help="Show the report in the browser.")
@click.option(
    "--beside",
    "other",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="RUN",
    help="Another run, of a cloud or of this machine, to show beside this one in the report.",
)
@purpose_options
@threshold_options
def command(
    run: Path, show: bool, other: Path | None, purpose: Purpose | None, wanted: Wanted
) -> None:
    """Analyse a run again and write its report; nothing is measured anew."""
    directory = RunDirectory(run)
    comparison = analyse(directory, purpose, _beside(run, other))
    for line in format_verdict(comparison, directory):
        wanted.say(line)
    if show and not open_in_browser(directory.report):
        click.echo(f"No browser was found; open {directory.report} yourself.", err=True)
    conclude(wanted, comparison, directory)


def _beside(run: Path, other: Path | None) -> RunDirectory | None:
    """The run to show beside ``run``.

    Raises:
        UsageError: it is the same one.
    """
    if other is not None and other.samefile(run):
        raise UsageError(f"--beside is {other}, the run itself; name another one.")
    return RunDirectory(other) if other else None
