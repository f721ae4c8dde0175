"""``twinserve report``."""

from __future__ import annotations

from pathlib import Path

import click

from twinserve.cli.verdict import analyse, format_verdict, open_in_browser
from twinserve.records.run import RunDirectory


@click.command(epilog="Example: twinserve report runs/eight-users --open")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--open", "show", is_flag=True, help="Show the report in the browser.")
def command(run: Path, show: bool) -> None:
    """Analyse a run again and write its report; nothing is measured anew."""
    directory = RunDirectory(run)
    for line in format_verdict(analyse(directory), directory):
        click.echo(line)
    if show and not open_in_browser(directory.report):
        click.echo(f"No browser was found; open {directory.report} yourself.", err=True)
