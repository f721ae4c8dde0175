"""Options and wording that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from twinserve.bundle.bundle import BundleFacts
from twinserve.errors import UsageError


def model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--model",
        metavar="NAME",
        help="Name or folder of a bundle; see `twinserve models`.  [default: the first one found]",
    )(function)


def say_model(facts: BundleFacts) -> None:
    """Name the model and its terms, on the error stream so that pipes stay clean."""
    side = facts.resolution
    click.echo(f"Model: {facts.name}, {side}×{side}. Terms: {facts.terms}.", err=True)
    if facts.name.startswith("random-"):
        click.echo(
            "No trained bundle is installed, so the pictures are noise; install the faces with:\n"
            "  pip install ./packages/faces   (non-commercial research only)",
            err=True,
        )


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Imports that an extra brings: where they fail, say which extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"This needs {error.name}, which the extra {extra!r} brings: "
            f"pip install 'twinserve[{extra}]'"
        ) from error
