"""``twinserve models export``."""

from __future__ import annotations

from pathlib import Path

import click

from twinserve.bundle.bundle import BundleFacts
from twinserve.cli.options import needs


@click.command(
    epilog="Example: twinserve models export training-runs/faces/checkpoint.safetensors "
    "--name my-faces --out ~/.local/share/twinserve/models/my-faces"
)
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="The bundle's name.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="A new folder."
)
@click.option("--terms", default="not stated", show_default=True, help="Terms of use, in words.")
@click.option("--commercial/--non-commercial", default=False, help="May it be used commercially?")
@click.option("--description", default="", help="One sentence about the model.")
@click.option(
    "--weights",
    type=click.Choice(["averaged", "raw"]),
    default="averaged",
    show_default=True,
    help="Which generator.",
)
def command(
    checkpoint: Path,
    name: str,
    out: Path,
    terms: str,
    commercial: bool,
    description: str,
    weights: str,
) -> None:
    """Make a bundle of a training checkpoint's generator."""
    with needs("train"):
        from twinserve.training.checkpoint import read_checkpoint
        from twinserve.training.export import export as export_bundle
    saved = read_checkpoint(checkpoint)
    generator = saved.generator({"averaged": "generator_average", "raw": "generator"}[weights])
    facts = BundleFacts(
        name=name,
        resolution=saved.config.resolution,
        latent=saved.config.latent,
        terms=terms,
        commercial_use=commercial,
        description=description,
        content_hash="",
    )
    bundle = export_bundle(generator, out, facts)
    click.echo(f"{out}: {name}, content {bundle.facts.content_hash[:12]}")
