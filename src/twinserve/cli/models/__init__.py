"""``twinserve models``: a file a verb, and the list that is shown without one."""

from __future__ import annotations

import json

import click
from rich.console import Console

from twinserve.cli.lazy import LazyGroup

VERBS = {
    "import": "Make a bundle of a published checkpoint.",
    "pull": "Download a published model, check it and import it.",
    "export": "Make a bundle of a training checkpoint's generator.",
    "evaluate": "Measure how near a model's pictures are to real ones.",
}


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    package=__name__,
    invoke_without_command=True,
    epilog="Example: twinserve models import checkpoint.pth --name mine",
)
@click.option("--json", "as_json", is_flag=True, help="List the models as JSON.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List models with their terms and quality; import, pull, export and evaluate them."""
    if context.invoked_subcommand is None:
        from twinserve.cli.models.listing import models_json, models_table

        if as_json:
            click.echo(json.dumps(models_json(), indent=2))
        else:
            Console().print(models_table())
    elif as_json:
        raise click.UsageError("--json is for the list; leave it out before a verb.")
