"""``twinserve models``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from twinserve.bundle.bundle import BundleFacts, read_facts
from twinserve.bundle.store import FALLBACK, bundle_facts, known_bundles
from twinserve.cli.options import needs


@click.group(
    invoke_without_command=True,
    epilog="Example: twinserve models export run/checkpoint.safetensors",
)
@click.pass_context
def command(context: click.Context) -> None:
    """List models and their terms, or export a trained one."""
    if context.invoked_subcommand is None:
        Console().print(_table())


@command.command(
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
def export(
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


def _table() -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("Name", "Side", "Terms", "Where"):
        table.add_column(heading, overflow="fold")
    for name, folder in known_bundles().items():
        _add(table, name, read_facts(folder), str(folder))
    _add(table, FALLBACK, bundle_facts(FALLBACK), "built in")
    return table


def _add(table: Table, name: str, facts: BundleFacts, where: str) -> None:
    table.add_row(name, f"{facts.resolution} px", facts.terms, where)
