"""``twinserve build function``."""

from __future__ import annotations

from pathlib import Path

import click

from twinserve.bundle.store import default_model
from twinserve.cli.building.folder import emptied, models_option
from twinserve.runtime.artefacts.differences import compare_artefacts, write_differences
from twinserve.runtime.artefacts.function import ZIP, write_function

MB = 1e6


@click.command(epilog="Example: twinserve build function --out build/function")
@models_option
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/function"),
    show_default=True,
    help="Where source/, function.zip and differences.txt go.",
)
def command(models: tuple[str, ...], out: Path) -> None:
    """Write the source of the function, as a folder and as a zip.

    Cloud Functions' Python buildpack takes either: main.py with the function `generate`,
    requirements.txt with pinned versions, the serving code and the models.
    """
    chosen = models or (default_model(),)
    written = write_function(emptied(out, ZIP), chosen)
    write_differences(out, compare_artefacts(chosen))
    click.echo(f"Source: {written.folder} ({written.unpacked_bytes / MB:.1f} MB)")
    click.echo(f"Zip:    {written.zip} ({written.zipped_bytes / MB:.1f} MB)")
    click.echo(f"What differs from the container: {out / 'differences.txt'}")
