"""``twinserve models evaluate``. Everything that needs torch is imported when the verb runs."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from twinserve.bundle.bundle import Bundle, read_facts, rewrite_facts
from twinserve.bundle.images import ImageFormat, encode
from twinserve.bundle.latents import LARGEST_SEED
from twinserve.bundle.store import cache_folder, open_bundle
from twinserve.cli.options import needs, say_model
from twinserve.cli.progress import progress
from twinserve.errors import UsageError

if TYPE_CHECKING:
    from twinserve.training.inception import Inception
    from twinserve.training.quality import Evaluation, Request, Result, Step

SCHEMA_VERSION = 1
PICTURES = 8192  # a set, as published
FEWEST = 16
LONG_S = 60.0
SCALES = ("-1..1", "0..1", "0..255", "imagenet")
FORMATS = {".png": ImageFormat.PNG, ".jpg": ImageFormat.JPEG, ".webp": ImageFormat.WEBP}


@click.command(
    epilog="Example: twinserve models evaluate pgan-celebahq-64 --data faces.zip "
    "--neighbours nearest.png"
)
@click.argument("name")
@click.argument("more_data", nargs=-1, metavar="", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--data",
    metavar="SOURCE...",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folders and zips of the pictures that the model was trained on.",
)
@click.option(
    "--pictures",
    type=click.IntRange(FEWEST),
    default=PICTURES,
    show_default=True,
    help="Pictures of the model, and in each of two sets of the data.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    show_default=True,
    help="Of the pictures made, those drawn from the data, and the directions of projection.",
)
@click.option(
    "--inception",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An Inception network (ONNX or OpenVINO IR) that gives 2,048 pool features: adds FID.",
)
@click.option(
    "--inception-input",
    type=click.Choice(SCALES),
    help="Values that the network expects of a picture; needed with --inception.",
)
@click.option(
    "--neighbours",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a picture of samples and their nearest training pictures: .png, .jpg or .webp.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    name: str,
    more_data: tuple[Path, ...],
    data: tuple[Path, ...],
    pictures: int,
    seed: int,
    inception: Path | None,
    inception_input: str | None,
    neighbours: Path | None,
    as_json: bool,
) -> None:
    """Measure how near a model's pictures are to real ones.

    Prints sliced Wasserstein distance, MS-SSIM, FID with --inception, and how near the nearest
    training pictures are, beside what real pictures have among each other. Writes them into the
    bundle and its model card.

    After Ctrl-C, the same command goes on with what was not finished.
    """
    _check_options(inception, inception_input, neighbours)
    bundle = open_bundle(name)
    with needs("train"):
        import safetensors  # noqa: F401
        import torch

        from twinserve.training.quality import Request

    torch.set_num_threads(1)  # the work is divided among the CPUs in larger pieces
    say_model(bundle.facts)
    network = _network(inception, inception_input)
    request = Request(bundle, (*data, *more_data), pictures, seed, network)
    result = _measured(request, neighbours)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_as_json(result)), indent=2))
    else:
        Console().print(_table(result))


def _check_options(
    inception: Path | None, inception_input: str | None, neighbours: Path | None
) -> None:
    """Before hours of work, and not after."""
    if bool(inception) != bool(inception_input):
        raise UsageError(
            "--inception and --inception-input go together: files differ in the values that they "
            f"expect of a picture ({', '.join(SCALES)}), and nothing in them tells."
        )
    if neighbours and neighbours.suffix.lower() not in FORMATS:
        raise UsageError(f"{neighbours} ends in {neighbours.suffix!r}; use {', '.join(FORMATS)}.")
    if neighbours and not os.access(neighbours.parent, os.W_OK):
        raise UsageError(f"{neighbours.parent} cannot be written; choose another --neighbours.")


def _network(path: Path | None, scale: str | None) -> Inception | None:
    from twinserve.training.inception import Inception, Scale

    return Inception(path, Scale(scale)) if path and scale else None


def _measured(request: Request, neighbours: Path | None) -> Result:
    """Run what is left to do, then write the result to where it belongs."""
    from twinserve.training.quality import evaluation

    try:
        with ExitStack() as stack:
            with progress("Reading pictures", 1) as meter:
                running = stack.enter_context(
                    evaluation(
                        request,
                        cache_folder().parent / "evaluations",
                        lambda done, total: meter.update(done / total, f"{done:,} of {total:,}"),
                    )
                )
            _run(running.steps())
            result = running.result()
            _write_sheet(running, neighbours)
            _write(request.bundle, result, neighbours)
            return result
    except KeyboardInterrupt:
        click.echo("What was finished is kept: the same command goes on from there.", err=True)
        raise


def _run(steps: list[Step]) -> None:
    """Each step in turn; the expected duration comes first."""
    expected_s = sum(step.expected_s for step in steps)
    if expected_s > LONG_S:
        click.echo(f"This takes about {expected_s / 60:.0f} min.", err=True)
    done_s = 0.0
    with progress("Evaluating", 1) as meter:
        for step in steps:

            def told(share: float, step: Step = step, before_s: float = done_s) -> None:
                meter.update((before_s + share * step.expected_s) / expected_s, step.words)

            told(0)
            step.run(told)
            done_s += step.expected_s


def _write_sheet(running: Evaluation, path: Path | None) -> None:
    if path is None:
        return
    try:
        path.write_bytes(encode(running.sheet(), FORMATS[path.suffix.lower()]))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}); choose another --neighbours. What was "
            "measured is kept."
        ) from error
    click.echo(f"Neighbours: {path}", err=True)


def _write(bundle: Bundle, result: Result, neighbours: Path | None) -> None:
    """Quality into the bundle's facts and card, where the user may write there."""
    from twinserve.training.quality_card import write_card

    if bundle.path is None:
        click.echo(f"{bundle.facts.name} is built in: nothing is written to it.", err=True)
        return
    facts = read_facts(bundle.path)
    if facts.content_hash != bundle.facts.content_hash:
        click.echo(f"{bundle.path} holds another model by now: nothing is written to it.", err=True)
        return
    facts = msgspec.structs.replace(facts, quality=result.quality)
    try:
        rewrite_facts(bundle.path, facts)
        card = write_card(bundle.path, facts, result, neighbours)
    except OSError as error:
        click.echo(
            f"{bundle.path} cannot be written ({error.strerror}): nothing is written to it.",
            err=True,
        )
        return
    click.echo(f"Written to the bundle and to {card}", err=True)


def _table(result: Result) -> Table:
    from twinserve.training.quality_card import HEADINGS, table

    quality = result.quality
    shown = Table(
        box=None,
        header_style="bold",
        title=f"{result.name}: {quality.pictures:,} pictures of seed {quality.seed}",
        title_justify="left",
    )
    for k, heading in enumerate(HEADINGS):
        shown.add_column(heading, justify="right" if k else "left")
    for row in table(result):
        shown.add_row(*row)
    return shown


def _as_json(result: Result) -> dict[str, Any]:
    quality = result.quality
    return {
        "schema_version": SCHEMA_VERSION,
        "model": result.name,
        "sides": result.sides,
        "quality": quality,
        "swd_mean": result.swd_mean,
        "swd_real_mean": result.swd_real_mean,
        "fid_real": result.fid_real,
        "nearest_made": asdict(result.made),
        "nearest_real": asdict(result.real),
    }
