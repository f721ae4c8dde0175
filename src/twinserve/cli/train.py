"""``twinserve train``. Everything that needs torch is imported when the verb runs."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from twinserve.bundle.cpu import thread_count
from twinserve.cli import INTERRUPTED
from twinserve.cli.options import needs
from twinserve.cli.progress import Meter, progress

if TYPE_CHECKING:
    from twinserve.training.celeba import Choice
    from twinserve.training.distributed import Team
    from twinserve.training.log import Report
    from twinserve.training.pictures import Pictures, Unreadable
    from twinserve.training.start import Start
    from twinserve.training.trainer import Trainer

STEPS_MEASURED = 20
LINE_EVERY_S = 30.0
FRAME_EVERY_S = 0.5  # on a terminal
SECOND_AFTER_S = 1.0  # a launcher may pass on the Ctrl-C that the terminal sent already


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
@click.option(
    "--preset",
    type=click.Choice(["small", "paper"]),
    default="small",
    show_default=True,
    help="What grew faces on two cores in hours, or the paper's networks, schedule and loss.",
)
@click.option(
    "--resolution", default=64, show_default=True, help="Side to grow to, in pixels: 4 to 512."
)
@click.option(
    "--init",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint to start from; it may be of a lower resolution.",
)
@click.option(
    "--images",
    type=int,
    show_default="small: 1,000,000; paper: 0.8 M, and 1.6 M a further level",
    help="Images to train on, shared out over the levels.",
)
@click.option(
    "--minutes",
    default=float("inf"),
    show_default="no limit",
    help="Time limit over all runs in --out; growth keeps pace with it.",
)
@click.option(
    "--batch",
    type=int,
    show_default="small: 32, then 16 at 256, 8 at 512; paper: 16, 14, 6",
    help="Images a step, over all processes together.",
)
@click.option(
    "--rate",
    type=float,
    show_default="small: 0.002, falling at the end; paper: 0.001",
    help="Learning rate.",
)
@click.option("--seed", default=0, show_default=True, help="Of weights, latents and picture order.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train; auto: on a CUDA GPU if there is one.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "f32", "bf16"]),
    default="auto",
    show_default=True,
    help="Of the layers; weights, losses and penalties stay f32. auto: bf16 on GPUs that have it.",
)
@click.option(
    "--threads", type=click.IntRange(1), show_default="the CPU limit", help="Threads to train on."
)
@click.option(
    "--partition",
    type=click.Choice(["train", "val", "test", "all"]),
    show_default="train, where CelebA's list is there",
    help="Part of CelebA to train on.",
)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="[-]NAME",
    help="CelebA pictures with this attribute, or without it (-Eyeglasses); may be repeated.",
)
@click.option(
    "--unreadable",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="What a picture that cannot be read does.",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="OUT/pictures",
    help="Folder for the decoded pictures; several trainings may share one.",
)
@click.option(
    "--quality-every",
    default=50_000,
    show_default=True,
    metavar="IMAGES",
    help="How often to log the distance from real pictures; 0: never.",
)
def command(
    data: tuple[Path, ...],
    out: Path,
    preset: str,
    resolution: int,
    init: Path | None,
    images: int | None,
    minutes: float,
    batch: int | None,
    rate: float | None,
    seed: int,
    device: str,
    precision: str,
    threads: int | None,
    partition: str | None,
    attributes: tuple[str, ...],
    unreadable: str,
    cache: Path | None,
    quality_every: int,
) -> None:
    """Train a Progressive GAN on folders and zips of pictures, or on CelebA as it is handed out.

    Ctrl-C saves and stops. The same command goes on from where the last one stopped, was stopped or
    was killed. Several GPUs: torchrun --nproc-per-node 2 -m twinserve train ...
    """
    with needs("train"):
        import safetensors  # noqa: F401
        import torch

        from twinserve.training.arithmetic import Precision
        from twinserve.training.celeba import Choice, Partition
        from twinserve.training.distributed import joined
        from twinserve.training.folder import only_training_in
        from twinserve.training.memory import keep_freed_memory
        from twinserve.training.options import TrainingOptions
        from twinserve.training.pictures import Unreadable
        from twinserve.training.plots import can_plot, write_plots
        from twinserve.training.presets import PRESETS
        from twinserve.training.start import find_start
        from twinserve.training.trainer import Trainer

    options = TrainingOptions(
        resolution,
        PRESETS[preset],
        images,
        minutes,
        batch,
        rate,
        seed,
        Precision(precision),
        quality_every=quality_every,
    )
    choice = Choice(Partition(partition) if partition else None, attributes)
    with joined(device) as team:
        torch.set_num_threads(threads or max(1, thread_count() // team.processes_here))
        options.check_shared_by(team.size)
        with only_training_in(out) if team.leads else nullcontext():
            start = find_start(out, options, init)
            keep_freed_memory()
            folder = cache or out / "pictures"
            pictures = _read(data, choice, start, folder, Unreadable(unreadable), team)
            trainer = Trainer(start, pictures, team, write_plots if can_plot() else None)
            team.wait_for_all()  # before the leader writes what the others start from
            _say_begin(trainer, team)
            _train(trainer, team)
    if team.leads:
        click.echo(
            f"{trainer.path}: {resolution}x{resolution}, "
            f"{trainer.progress.images_seen:,} images seen"
        )


def _read(
    data: tuple[Path, ...],
    choice: Choice,
    start: Start,
    cache: Path,
    unreadable: Unreadable,
    team: Team,
) -> Pictures:
    """Decode the pictures, or map what was decoded before; the leader does so for all."""
    from twinserve.training.cache import cached_pictures
    from twinserve.training.celeba import chosen_entries
    from twinserve.training.pictures import Unreadable, format_skipped

    entries = chosen_entries(data, choice, start.options.resolution)
    if unreadable is Unreadable.FAIL:
        start.check_pictures(len(entries))
    side = start.options.resolution
    if not team.leads:
        team.wait_for_all()
        return cached_pictures(entries, side, cache, unreadable, choice=choice)
    with progress("Reading pictures", 1) as meter:
        pictures = cached_pictures(
            entries,
            side,
            cache,
            unreadable,
            lambda done, total: meter.update(done / total, f"{done:,} of {total:,}"),
            choice,
        )
    for line in format_skipped(pictures.skipped):
        click.echo(line, err=True)
    team.wait_for_all()
    return pictures


def _say_begin(trainer: Trainer, team: Team) -> None:
    """On the error stream: how many train, from where, and what is not going to be drawn."""
    from twinserve.training.plots import can_plot

    if not team.leads:
        return
    if team.size > 1:
        click.echo(f"{team.size} processes train together.", err=True)
    if trainer.start.resumed:
        done, wanted = trainer.progress.images, trainer.schedule.images
        click.echo(f"Going on after {done:,} of {wanted:,} images.", err=True)
    if not can_plot():
        click.echo(
            "No progress.png and progress.html: they need the extra 'lab' "
            "(pip install 'twinserve[lab]').",
            err=True,
        )


def _train(trainer: Trainer, team: Team) -> None:
    """Train to the end, or until a signal: then save, say how to go on, and exit."""
    shown = _Shown()
    with (
        _signals(trainer, team),
        progress("Training", 1) if team.leads else nullcontext() as meter,
        closing(trainer.run()) as reports,
    ):
        for report in reports:
            if meter:
                shown.take(report, meter)
    if trainer.stopped:
        if team.leads:
            click.echo(
                f"Stopped and saved after {trainer.progress.images:,} images in {trainer.path}. "
                "The same command goes on from there.",
                err=True,
            )
        sys.exit(INTERRUPTED)


@contextmanager
def _signals(trainer: Trainer, team: Team) -> Iterator[None]:
    """At SIGINT and SIGTERM finish the step and save; a second one later on stops at once."""
    first_at: list[float] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if first_at and time.monotonic() - first_at[0] > SECOND_AFTER_S:
            raise KeyboardInterrupt
        if not first_at:
            first_at.append(time.monotonic())
            trainer.stop()
            if team.leads:
                click.echo("Finishing the step and saving; once more stops at once.", err=True)

    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Shown:
    """Passes a report on now and then; the expected duration comes first."""

    def __init__(self) -> None:
        self._steps = 0
        self._at = time.monotonic()
        self._every_s = FRAME_EVERY_S if sys.stderr.isatty() else LINE_EVERY_S

    def take(self, report: Report, meter: Meter) -> None:
        self._steps += 1
        if self._steps == STEPS_MEASURED and report.minutes_left > 1:
            click.echo(f"This takes about {_duration(report.minutes_left)}.", err=True)
        due = time.monotonic() - self._at >= self._every_s and self._steps >= STEPS_MEASURED
        if due or report.minutes_left == 0:
            self._at = time.monotonic()
            whole = report.minutes + report.minutes_left
            meter.update(report.minutes / whole if whole else 1, format_report(report))


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
