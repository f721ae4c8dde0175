"""``twinserve generate``."""

from __future__ import annotations

from pathlib import Path

import click

from twinserve.bundle.engine import Arithmetic, Engine
from twinserve.bundle.images import ImageFormat, encode, grid
from twinserve.bundle.latents import LARGEST_SEED
from twinserve.bundle.store import default_model, open_bundle
from twinserve.cli.options import model_option, say_model
from twinserve.cli.progress import progress
from twinserve.errors import UsageError

MOST_IMAGES = 4096
SUFFIXES = {".png": ImageFormat.PNG, ".jpg": ImageFormat.JPEG, ".jpeg": ImageFormat.JPEG}
SUFFIXES |= {".webp": ImageFormat.WEBP}


@click.command(epilog="Example: twinserve generate --seed 7 -n 8 -o faces.png")
@model_option
@click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=7,
    show_default=True,
    help="The same seed gives the same pictures.",
)
@click.option(
    "-n",
    "--num-images",
    type=click.IntRange(1, MOST_IMAGES),
    default=8,
    show_default=True,
    help="How many pictures.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("faces.png"),
    show_default=True,
    help="One sheet with all of them: .png, .jpg or .webp.",
)
@click.option(
    "--arithmetic",
    type=click.Choice([arithmetic.value for arithmetic in Arithmetic]),
    default=Arithmetic.AUTO.value,
    show_default=True,
    help="Number format of the computation.",
)
def command(model: str | None, seed: int, num_images: int, out: Path, arithmetic: str) -> None:
    """Make images with a model, without a server."""
    image_format = _format(out)
    bundle = open_bundle(model or default_model())
    say_model(bundle.facts)
    engine = Engine(bundle, Arithmetic(arithmetic))
    images = []
    with progress("Images", num_images) as meter:
        for place in range(num_images):
            images.append(engine.image(seed, place))
            meter.update(place + 1, f"{place + 1} of {num_images}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(encode(grid(images), image_format))
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written ({error.strerror}); choose another -o."
        ) from error
    click.echo(out)


def _format(out: Path) -> ImageFormat:
    try:
        return SUFFIXES[out.suffix.lower()]
    except KeyError:
        raise UsageError(f"{out} ends in {out.suffix!r}; use {', '.join(SUFFIXES)}.") from None
