"""``twinserve build``: a group of verbs, a file each, imported when it is called."""

from __future__ import annotations

import click

from twinserve.cli.lazy import LazyGroup

VERBS = {
    "container": "A container image, or the files that it is built from.",
    "function": "A source folder and zip that Cloud Functions takes.",
}


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    package=__name__,
    epilog="Example: twinserve build container --out build/container",
)
def command() -> None:
    """Build what a deployment is made of; both carry the same code and models, byte by byte."""
