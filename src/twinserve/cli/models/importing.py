"""``twinserve models import``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from twinserve.bundle.bundle import Bundle, size_bytes
from twinserve.zoo.convert import Chosen
from twinserve.zoo.install import Terms, install, place_for
from twinserve.zoo.published import catalogue, published_as

UNKNOWN_TERMS = "not stated; ask whoever published the file"


def bundle_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What ``import`` and ``pull`` have in common."""
    for option in reversed(
        (
            click.option(
                "--weights",
                type=click.Choice([chosen.value for chosen in Chosen]),
                default=Chosen.AVERAGED.value,
                show_default=True,
                help="The generator's running average, or the one that was trained.",
            ),
            click.option(
                "--store",
                type=click.Choice(["f32", "f16"]),
                default="f32",
                show_default=True,
                help="As published, or half the size for errors too small to see.",
            ),
            click.option(
                "--out",
                type=click.Path(file_okay=False, path_type=Path),
                help="A new folder.  [default: NAME in the user's model folder]",
            ),
            click.option("--replace", is_flag=True, help="Replace a model of this name."),
        )
    ):
        function = option(function)
    return function


@click.command(epilog="Example: twinserve models import checkpoint.pth --name mine")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="The bundle's name.")
@bundle_options
@click.option("--terms", help="Terms of use, in words.  [default: the publisher's, where known]")
@click.option("--commercial/--non-commercial", default=False, help="May it be used commercially?")
@click.option("--description", default="", help="One sentence about the model.")
def command(
    file: Path,
    name: str,
    weights: str,
    store: str,
    out: Path | None,
    replace: bool,
    terms: str | None,
    commercial: bool,
    description: str,
) -> None:
    """Make a bundle of a published PyTorch checkpoint: a PGAN, DCGAN or StyleGAN.

    Nothing in the file is executed: it is read by a reader that knows tensors, plain values and the
    one configuration class of this format, and refuses whatever else the file names.
    """
    folder = place_for(name, out, replace)
    known = published_as(file)
    source = f"{catalogue().source}, {file.name}" if known else ""
    words = terms or (known.terms if known else UNKNOWN_TERMS)
    said = Terms(words, commercial, description or (known.description if known else ""), source)
    bundle = install(file, name, folder, said, Chosen(weights), store == "f16")
    say_installed(bundle, folder)


def say_installed(bundle: Bundle, folder: Path) -> None:
    facts = bundle.facts
    click.echo(
        f"{folder}: {facts.name}, {facts.architecture}, {facts.resolution}x{facts.resolution}, "
        f"{size_bytes(folder) / 1e6:,.1f} MB, content {facts.content_hash[:12]}"
    )
    click.echo(f"Terms: {facts.terms}.", err=True)
