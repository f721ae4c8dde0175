"""``twinserve build container``."""

from __future__ import annotations

from pathlib import Path

import click

from twinserve.bundle.store import default_model
from twinserve.cli.building.folder import emptied, models_option
from twinserve.cli.runner import BASE_VARIABLE, say_step
from twinserve.runtime.artefacts.context import (
    CONTAINERFILE,
    DEFAULT_BASE,
    Context,
    fetch_wheels,
    write_context,
)
from twinserve.runtime.artefacts.differences import compare_artefacts, write_differences
from twinserve.runtime.artefacts.image import (
    ENGINES,
    SBOM,
    build_image,
    find_engine,
    has_image,
    read_file,
    tag_of,
    weigh,
)

MB = 1e6


@click.command(epilog="Example: twinserve build container --tag faces:1")
@models_option
@click.option(
    "--base",
    envvar=BASE_VARIABLE,
    default=DEFAULT_BASE,
    show_default=True,
    help="Base image: a Linux with python3 and its venv.",
)
@click.option("--tag", help="Name of the image.  [default: localhost/twinserve:<content>]")
@click.option(
    "--engine", type=click.Choice(ENGINES), help="What builds.  [default: the first installed]"
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the files there, and build an image only if --tag is given.  "
    "[default: build/container, and an image if an engine is installed]",
)
@click.option(
    "--wheels/--no-wheels",
    default=None,
    help="Fetch the packages with this machine's pip, so that the image build needs no network.  "
    "[default: when an image is built]",
)
@click.option(
    "--build-option",
    "options",
    multiple=True,
    metavar="OPTION",
    help="Passed on to podman or docker build, such as --network=host.",
)
def command(
    models: tuple[str, ...],
    base: str,
    tag: str | None,
    engine: str | None,
    out: Path | None,
    wheels: bool | None,
    options: tuple[str, ...],
) -> None:
    """Write a Containerfile with all it needs, and build the image.

    The image runs as nobody in particular, on a read-only file system, without capabilities. It
    serves as the function as well: differences.txt says how, and what differs on Cloud Functions.
    """
    found = find_engine(engine) if tag or engine or out is None else None
    if found is None and (tag or engine):
        raise click.UsageError(
            f"{engine or 'Neither podman nor docker'} is {'not ' if engine else ''}installed; "
            "with --out alone the files are written and no image is built."
        )
    folder = emptied(out or Path("build/container"), CONTAINERFILE)
    chosen = models or (default_model(),)
    context = write_context(folder, chosen, base)
    # Content names the image, so one of that name needs no building.
    build = found is not None and (bool(tag or options) or not has_image(found, tag_of(context)))
    if wheels or (wheels is None and build):
        fetch_wheels(context)
    write_differences(folder, compare_artefacts(chosen))
    click.echo(f"Files: {folder} (Containerfile, differences.txt)")
    if found:
        tag = tag or tag_of(context)
        if build:
            build_image(found, context, tag, options, say_step)
        _say_image(found, context, tag)
    elif out is None:
        click.echo("Neither podman nor docker is installed, so no image was built.", err=True)


def _say_image(engine: str, context: Context, tag: str) -> None:
    (context.folder / SBOM.name).write_bytes(read_file(engine, tag, str(SBOM)))
    click.echo(f"Image: {tag}")
    click.echo(f"SBOM:  {context.folder / SBOM.name} (CycloneDX; in the image: {SBOM})")
    click.echo("Weighing it, as a registry would keep it.", err=True)
    weight = weigh(engine, tag)
    click.echo(
        f"Size:  {weight.compressed_bytes / MB:.0f} MB compressed, "
        f"{weight.unpacked_bytes / MB:.0f} MB unpacked, base image included"
    )
