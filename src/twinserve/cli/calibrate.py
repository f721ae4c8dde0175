"""``twinserve calibrate``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twinserve.cli.options import needs
from twinserve.cli.progress import progress
from twinserve.errors import UsageError
from twinserve.load.sender import Clock, Sender, Target
from twinserve.records.run import RunDirectory
from twinserve.records.samples import Phase, Sample

if TYPE_CHECKING:
    from twinserve.analysis.simulation.model import Floats

LEAST, USUAL = 25, 50


@click.command(epilog="Example: twinserve calibrate runs/eight-users --url https://example.com")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--url", required=True, help="Of the real deployment, without a path.")
@click.option("--side", help="Which side of the run it is.  [default: the first]")
@click.option(
    "--requests",
    type=click.IntRange(LEAST, 1000),
    default=USUAL,
    show_default=True,
    help="How many are sent, one after the other.",
)
def command(run: Path, url: str, side: str | None, requests: int) -> None:
    """Measure how a real deployment's times differ from a run's here.

    Sends 50 requests to it, one after the other, and writes the CPU factor and, where the first
    request met no instance, the platform's added start into RUN/calibration.json. `cost` and
    `simulate` use them from then on.
    """
    with needs("lab"):
        from twinserve.analysis.cost.elsewhere import write_elsewhere
        from twinserve.analysis.translation import translated
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--url is {url!r}; write http:// or https:// and a host.")
    images, here_ms, start_s = _here(RunDirectory(run), side)
    samples = asyncio.run(_ask(url.rstrip("/"), images, requests))
    there_ms, first_s, warm_s = _there(samples, url)
    found, said = translated(there_ms, here_ms, first_s, warm_s, start_s, url)
    path = write_elsewhere(run, found)
    for line in said:
        click.echo(f"{line}.")
    click.echo(f"Written to {path}; `twinserve cost` and `twinserve simulate` use it from now on.")


def _here(run: RunDirectory, side: str | None) -> tuple[int, Floats, float]:
    """Images a request, process times in ms without the wait for a turn, mean start in s."""
    import polars as pl

    from twinserve.analysis.simulation.calibration import calibrated
    from twinserve.records.samples import read_samples

    sides = calibrated(run)
    name = side or next(iter(sides))
    if name not in sides:
        raise UsageError(f"--side is {name!r}; the run has {' and '.join(sides)}.")
    rows = read_samples(run.samples).filter(
        (pl.col("side") == name) & (pl.col("phase") == Phase.BLOCK.value)
    )
    own = pl.col("process_ms") - pl.coalesce("instance_queue_ms", "queue_ms").fill_null(0.0)
    times = rows.select(own.alias("ms")).drop_nulls()["ms"].to_numpy()
    behaviour = sides[name].behaviour
    return round(behaviour.images), times[times > 0], float(behaviour.starts_s.mean())


async def _ask(url: str, images: int, requests: int) -> list[Sample]:
    """One request after the other; the first one may meet no instance."""
    samples = []
    with progress("Calibrate", requests) as meter:
        sender = Sender(Clock.start())
        for number in range(requests):
            meter.update(number, f"request {number + 1}")
            target = Target("there", url, Phase.BLOCK)
            samples.append((await sender.send(target, images, number)).sample)
    return samples


def _there(samples: list[Sample], url: str) -> tuple[Floats, float, Floats]:
    import numpy as np

    answered = [each for each in samples if each.success]
    if len(answered) < LEAST - 5:
        why = next((each.failure or each.reason for each in samples if not each.success), "")
        raise UsageError(
            f"{url} answered {len(answered)} of {len(samples)} requests ({why}); it must be a "
            f"deployment that answers POST /generate."
        )
    told = [
        each.process_ms - (each.instance_queue_ms or 0.0)
        for each in answered[1:]
        if each.process_ms is not None
    ]
    elapsed_s = np.array([each.elapsed_ms for each in answered]) / 1000
    return np.array(told), float(elapsed_s[0]), elapsed_s[1:]
