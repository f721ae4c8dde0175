"""``twinserve train``. Everything that needs torch is imported when the verb runs."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from twinserve.bundle.cpu import thread_count
from twinserve.cli import INTERRUPTED
from twinserve.cli.options import needs
from twinserve.cli.progress import Meter, progress

if TYPE_CHECKING:
    from twinserve.training.pictures import Pictures
    from twinserve.training.trainer import Report, Trainer

STEPS_MEASURED = 20
LINE_EVERY_S = 30.0
FRAME_EVERY_S = 0.5  # on a terminal


@click.command(
    epilog="Example: twinserve train ~/pictures --out training-runs/faces --resolution 64"
)
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for checkpoint, log and sample grids; one that was begun goes on.",
)
@click.option("--resolution", default=64, show_default=True, help="Side to grow to, in pixels.")
@click.option(
    "--init",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint to start from; it may be of a lower resolution.",
)
@click.option("--images", default=1_000_000, show_default=True, help="Images to train on.")
@click.option(
    "--minutes",
    default=float("inf"),
    show_default="no limit",
    help="Time limit over all runs in --out; growth keeps pace with it.",
)
@click.option("--batch", default=32, show_default=True, help="Images a step.")
@click.option("--rate", default=0.002, show_default=True, help="Learning rate; falls at the end.")
@click.option("--seed", default=0, show_default=True, help="Of weights, latents and picture order.")
@click.option(
    "--threads", type=click.IntRange(1), show_default="the CPU limit", help="Threads to train on."
)
def command(
    data: tuple[Path, ...],
    out: Path,
    resolution: int,
    init: Path | None,
    images: int,
    minutes: float,
    batch: int,
    rate: float,
    seed: int,
    threads: int | None,
) -> None:
    """Train a Progressive GAN on folders and zips of pictures.

    Ctrl-C saves and stops. The same command goes on from where the last one stopped, was stopped or
    was killed.
    """
    with needs("train"):
        import safetensors  # noqa: F401
        import torch

        from twinserve.training.trainer import Trainer, TrainingOptions

    options = TrainingOptions(resolution, images, minutes, batch, rate, seed)
    torch.set_num_threads(threads or thread_count())
    trainer = Trainer(out, _read(data, resolution), options, init)
    if trainer.resumed:
        click.echo(f"Going on after {trainer.progress.images:,} of {images:,} images.", err=True)
    _train(trainer)
    click.echo(
        f"{trainer.path}: {resolution}x{resolution}, {trainer.progress.images_seen:,} images seen"
    )


def _read(data: tuple[Path, ...], resolution: int) -> Pictures:
    from twinserve.training.pictures import read_pictures

    with progress("Reading pictures", 1) as meter:
        return read_pictures(
            data,
            resolution,
            lambda done, total: meter.update(done / total, f"{done:,} of {total:,}"),
        )


def _train(trainer: Trainer) -> None:
    """Train to the end, or until a signal: then save, say how to go on, and exit."""
    with _signals() as seen, progress("Training", 1) as meter, closing(trainer.run()) as reports:
        shown = _Shown(meter)
        for report in reports:
            shown.take(report)
            if seen:
                break
    if seen:
        click.echo(
            f"Stopped and saved after {trainer.progress.images:,} images in {trainer.path}. "
            "The same command goes on from there.",
            err=True,
        )
        sys.exit(INTERRUPTED)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that a step is finished first; the second stops at once."""
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        click.echo("Finishing the step and saving; once more stops at once.", err=True)

    for number in before:
        signal.signal(number, note)
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Shown:
    """Passes a report on now and then; the expected duration comes first."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._steps = 0
        self._at = time.monotonic()
        self._every_s = FRAME_EVERY_S if sys.stderr.isatty() else LINE_EVERY_S

    def take(self, report: Report) -> None:
        self._steps += 1
        if self._steps == STEPS_MEASURED and report.minutes_left > 1:
            click.echo(f"This takes about {_duration(report.minutes_left)}.", err=True)
        due = time.monotonic() - self._at >= self._every_s and self._steps >= STEPS_MEASURED
        if due or report.minutes_left == 0:
            self._at = time.monotonic()
            whole = report.minutes + report.minutes_left
            self._meter.update(report.minutes / whole if whole else 1, format_report(report))


def format_report(report: Report) -> str:
    """One line on how training stands; the generator's loss comes first."""
    return (
        f"{report.images:,} images, {report.part}, losses {report.loss_generator:.2f}/"
        f"{report.loss_discriminator:.2f}, {report.images_per_s:,.0f}/s, "
        f"{_duration(report.minutes_left)} left"
    )


def _duration(minutes: float) -> str:
    if minutes < 1:
        return "< 1 min"
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
