"""``twinserve models pull``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import click

from twinserve.bundle.store import cache_folder
from twinserve.cli.models.importing import bundle_options, say_installed
from twinserve.cli.progress import progress
from twinserve.zoo.convert import Chosen
from twinserve.zoo.download import fetch
from twinserve.zoo.install import Terms, install, place_for
from twinserve.zoo.published import Published, catalogue, published


@click.command(epilog="Example: twinserve models pull pgan-celebahq-512")
@click.argument("model", metavar="NAME")
@click.option(
    "--from",
    "base",
    metavar="URL",
    help="Another place that has the published files, such as a mirror.  [default: the publisher]",
)
@bundle_options
def command(
    model: str, base: str | None, weights: str, store: str, out: Path | None, replace: bool
) -> None:
    """Download a published model, check it and import it.

    A download that breaks off goes on where it stopped, now or at the next call. `twinserve models`
    lists the names.
    """
    wanted = published(model)
    folder = place_for(model, out, replace)
    click.echo(f"{wanted.description} Terms: {wanted.terms}.", err=True)
    file = _fetched(wanted, base or catalogue().base)
    said = Terms(
        wanted.terms, False, wanted.description, f"{catalogue().source}, {wanted.file_name}"
    )
    bundle = install(file, model, folder, said, Chosen(weights), store == "f16")
    file.unlink()
    say_installed(bundle, folder)


def _fetched(wanted: Published, base: str) -> Path:
    target = cache_folder().parent / "downloads" / wanted.file_name
    urls = [urljoin(base.rstrip("/") + "/", path) for path in wanted.paths]
    with progress(wanted.file_name, 1.0) as meter:

        def show(done: int, total: int | None) -> None:
            of = f" of {total / 1e6:,.1f}" if total else ""
            meter.update(done / total if total else 0.0, f"{done / 1e6:,.1f}{of} MB")

        return fetch(urls, target, wanted.sha256, show)
