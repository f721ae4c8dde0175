"""``twinserve simulate``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.table import Table

from twinserve.cli.amounts import Span
from twinserve.cli.options import check_lab, duration_option
from twinserve.cli.prices import book_of, elsewhere_of, price_options
from twinserve.cli.progress import progress
from twinserve.records.lines import replace_file
from twinserve.records.run import RunDirectory

if TYPE_CHECKING:
    from twinserve.analysis.simulation.sweep import Sweep

FILE_NAME = "simulation.json"


@click.command(epilog="Example: twinserve simulate runs/eight-users --rate 0.01..100")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--rate",
    type=Span(open_=True),
    default="0.01..100",
    show_default=True,
    metavar="LOW..HIGH",
    help="Requests a second, from and to; one number is one rate.",
)
@click.option(
    "--burstiness",
    default="1,5",
    show_default=True,
    metavar="N,...",
    help="How many times the mean a burst has, a minute in ten; 1 is Poisson.",
)
@click.option(
    "--objective",
    default="p95<1s",
    show_default=True,
    help="A side is chosen only where it keeps to this.",
)
@price_options
@click.option(
    "--max-instances",
    type=click.IntRange(1, 2000),
    default=100,
    show_default=True,
    help="Of each side there, whatever this machine carries.",
)
@duration_option("--for", "Simulated time of each point.  [default: 4h or more]")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Plain values, for programs.")
def command(
    run: Path,
    rate: tuple[float, float],
    burstiness: str,
    objective: str,
    prices: Path | None,
    region: str,
    free_tier: bool,
    cpu_factor: tuple[float, float] | None,
    platform_start: tuple[float, float] | None,
    max_instances: int,
    seed: int,
    as_json: bool,
    **options: float | None,
) -> None:
    """Sweep the traffic: what each side costs, how fast it is, where the two cross.

    Requests, queues, cold starts and bills are simulated by the rules that the local gateways obey,
    with the times that the run measured. Writes simulation.json and figures into RUN.
    """
    check_lab()
    from twinserve.analysis.simulation.calibration import calibrated

    directory = RunDirectory(run)
    found = calibrated(directory)
    click.echo("The event loop is compiled at its first use, about 20 s once.", err=True)
    from twinserve.analysis.simulation.model import Model
    from twinserve.analysis.simulation.sweep import Question, parse_objective, sweep

    models = {
        name: Model(replace(side.deployment, max_instances=max_instances), side.behaviour)
        for name, side in found.items()
    }
    book = book_of(prices)
    question = Question(
        *rate, _numbers(burstiness), parse_objective(objective), free_tier, options["for"], seed
    )
    began_s = time.monotonic()
    with progress("Simulate", question.size) as meter:
        swept = sweep(
            models,
            book,
            elsewhere_of(run, cpu_factor, platform_start),
            question,
            region=region,
            on_progress=meter.update,
        )
    _write(directory, swept)
    took_s = time.monotonic() - began_s
    click.echo(f"{swept.simulated_requests:,} requests simulated in {took_s:.1f} s", err=True)
    _show(directory, swept, as_json)


def _numbers(text: str) -> list[float]:
    try:
        return list(dict.fromkeys(float(each) for each in text.split(",")))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a list of numbers; write 1,5.", param_hint="--burstiness"
        ) from None


def _write(run: RunDirectory, swept: Sweep) -> None:
    from twinserve.report.charts import png, svg
    from twinserve.report.simulation import figure

    data = msgspec.json.format(msgspec.json.encode(swept), indent=2) + b"\n"
    replace_file(run.path / FILE_NAME, data)
    run.figures.mkdir(parents=True, exist_ok=True)
    for burstiness in _burstinesses(swept):
        text = svg(figure(swept, burstiness))
        stem = f"simulation-{burstiness:g}"
        replace_file(run.figures / f"{stem}.svg", text.encode())
        replace_file(run.figures / f"{stem}.png", png(text))


def _show(run: RunDirectory, swept: Sweep, as_json: bool) -> None:
    from twinserve.report.simulation import format_sweep, headings, sweep_rows

    if as_json:
        click.echo((run.path / FILE_NAME).read_text(encoding="utf-8"), nl=False)
        return
    for burstiness in _burstinesses(swept):
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in headings(swept):
            table.add_column(heading, justify="right", overflow="fold")
        for row in sweep_rows(swept, burstiness):
            table.add_row(*row)
        click.echo(f"Burstiness {burstiness:g}:")
        Console().print(table)
    for line in format_sweep(swept):
        click.echo(line)
    click.echo(f"Figures: {run.figures}/simulation-*.svg, values: {run.path / FILE_NAME}")


def _burstinesses(swept: Sweep) -> list[float]:
    return list(dict.fromkeys(point.burstiness for point in swept.points))
