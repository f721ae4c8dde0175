"""``twinserve generate``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from twinserve.bundle.engine import Arithmetic, Engine
from twinserve.bundle.images import ImageFormat, Pixels, as_pixels, encode, grid
from twinserve.bundle.latents import LARGEST_SEED, latent, noise
from twinserve.bundle.layers import Array
from twinserve.bundle.store import default_model, open_bundle
from twinserve.cli.arrays import Inputs, array_file, read_inputs
from twinserve.cli.options import model_option, say_model
from twinserve.cli.progress import progress
from twinserve.errors import UsageError

MOST_IMAGES = 4096
DEFAULT_IMAGES = 8
DEFAULT_SHEET = Path("faces.png")
SUFFIXES = {".png": ImageFormat.PNG, ".jpg": ImageFormat.JPEG, ".jpeg": ImageFormat.JPEG}
SUFFIXES |= {".webp": ImageFormat.WEBP}


@dataclass(frozen=True)
class Wanted:
    """What to make: ``count`` pictures of ``seed``, or of ``inputs``, at a truncation ``psi``."""

    seed: int
    count: int
    psi: float | None
    inputs: Inputs | None

    def pictures(self, engine: Engine) -> Iterator[Array]:
        """Each picture (3, side, side), not clipped."""
        for place in range(self.count):
            given = self.inputs.noise_of(place) if self.inputs else None
            drawn = given or [
                noise(self.seed, place, number, shape)
                for number, shape in enumerate(engine.noise_shapes)
            ]
            if self.inputs:
                z = self.inputs.latents[place]
            else:
                z = latent(self.seed, place, engine.facts.latent)
            yield engine.picture(z, drawn, self.psi)


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
    help=f"How many pictures.  [default: {DEFAULT_IMAGES}, or all of --latents]",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"One sheet with all of them: .png, .jpg or .webp.  [default: {DEFAULT_SHEET}, or none "
    f"with --raw]",
)
@click.option(
    "--arithmetic",
    type=click.Choice([arithmetic.value for arithmetic in Arithmetic]),
    default=Arithmetic.AUTO.value,
    show_default=True,
    help="Number format of the computation.",
)
@click.option(
    "--psi",
    type=click.FloatRange(0, 1),
    help="Truncation: less than 1 gives fewer broken pictures, but less variety.  [default: the "
    "model's own]",
)
@click.option(
    "--latents",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Latent vectors (images, latent) in place of a seed's, as .npy, or as .npz with z and, "
    "for a StyleGAN, noise_0, noise_1, ... (images, 1, height, width).",
)
@click.option(
    "--raw",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the network's float32 output (images, channels, height, width), not clipped, as "
    ".npy.",
)
def command(
    model: str | None,
    seed: int,
    num_images: int | None,
    out: Path | None,
    arithmetic: str,
    psi: float | None,
    latents: Path | None,
    raw: Path | None,
) -> None:
    """Make images with a model, without a server."""
    sheet = out or (None if raw else DEFAULT_SHEET)
    image_format = _format(sheet) if sheet else None
    bundle = open_bundle(model or default_model())
    say_model(bundle.facts)
    engine = Engine(bundle, Arithmetic(arithmetic))
    if psi is not None and not engine.truncates:
        raise UsageError(f"{bundle.facts.name} has no truncation; leave --psi out.")
    inputs = read_inputs(latents, engine) if latents else None
    wanted = Wanted(seed, _count(num_images, inputs), psi, inputs)
    images = _made(engine, wanted, raw, keep=sheet is not None)
    if sheet and image_format:
        _write_sheet(sheet, images, image_format)


def _count(asked: int | None, inputs: Inputs | None) -> int:
    if not inputs:
        return asked or DEFAULT_IMAGES
    if asked and asked > len(inputs.latents):
        raise UsageError(f"--latents has {len(inputs.latents)} vectors, -n asks for {asked}.")
    return asked or len(inputs.latents)


def _made(engine: Engine, wanted: Wanted, raw: Path | None, keep: bool) -> list[Pixels]:
    """Every picture as pixels, if they are kept, and all of them in ``raw``, if it is given."""
    side = engine.facts.resolution
    shape = (wanted.count, 3, side, side)
    images = []
    with progress("Images", wanted.count) as meter, array_file(raw, shape) as write:
        for place, picture in enumerate(wanted.pictures(engine), 1):
            write(picture)
            if keep:
                images.append(as_pixels(picture))
            meter.update(place, f"{place} of {wanted.count}")
    if raw:
        click.echo(raw)
    return images


def _write_sheet(sheet: Path, images: list[Pixels], image_format: ImageFormat) -> None:
    try:
        sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet.write_bytes(encode(grid(images), image_format))
    except OSError as error:
        raise UsageError(
            f"{sheet} cannot be written ({error.strerror}); choose another -o."
        ) from error
    click.echo(sheet)


def _format(out: Path) -> ImageFormat:
    try:
        return SUFFIXES[out.suffix.lower()]
    except KeyError:
        raise UsageError(f"{out} ends in {out.suffix!r}; use {', '.join(SUFFIXES)}.") from None
