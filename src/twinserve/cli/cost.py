"""``twinserve cost``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from twinserve.cli.amounts import Count, Mib
from twinserve.cli.options import needs
from twinserve.cli.prices import book_of, elsewhere_of, price_options
from twinserve.records.run import RunDirectory


@click.command(epilog="Example: twinserve cost runs/eight-users --requests-per-month 3M")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--requests-per-month",
    type=Count(),
    default="3M",
    show_default=True,
    metavar="NUMBER",
    help="Your traffic, as 500k or 3M.",
)
@price_options
@click.option("--min-instances", type=click.IntRange(0), help="Instances kept at all times.")
@click.option(
    "--cpu", type=click.FloatRange(0.08), help="CPUs of an instance, where a log does not tell."
)
@click.option("--memory", type=Mib(), help="Its memory, as 4GiB, where a log does not tell.")
@click.option("--explain", is_flag=True, help="Show how every number comes about.")
@click.option("--json", "as_json", is_flag=True, help="Plain values, for programs.")
def command(
    run: Path,
    requests_per_month: float,
    prices: Path | None,
    region: str,
    free_tier: bool,
    cpu_factor: tuple[float, float] | None,
    platform_start: tuple[float, float] | None,
    min_instances: int | None,
    cpu: float | None,
    memory: int | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Say what a run's two sides would cost a month, under every way to be billed.

    Works on a run of `compare` and on two imported logs. `twinserve simulate` says it for any
    traffic, with cold starts and queues.
    """
    with needs("lab"):
        from twinserve.analysis.cost.bill import cost_of
        from twinserve.analysis.cost.month import Traffic
        from twinserve.analysis.cost.usage import run_usage
        from twinserve.report import cost as words
    found = cost_of(
        run_usage(RunDirectory(run), cpu, memory),
        book_of(prices),
        Traffic(requests_per_month, min_instances),
        elsewhere_of(run, cpu_factor, platform_start),
        region=region,
        free_tier=free_tier,
    )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for line in words.format_head(found):
        click.echo(line)
    Console().print(_table(words.HEADINGS, words.cost_rows(found)))
    click.echo("Of which, before the free tier:")
    Console().print(_table(words.PART_HEADINGS, words.part_rows(found)))
    notes = (*words.format_notes(found), *(words.format_working(found) if explain else ()))
    for line in notes:
        click.echo(line)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        left = heading in ("Side", "Plan")
        table.add_column(heading, justify="left" if left else "right", no_wrap=left)
    for row in rows:
        table.add_row(*row)
    return table
