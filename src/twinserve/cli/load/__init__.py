"""``twinserve load``: a file a verb."""

from __future__ import annotations

import click

from twinserve.cli.lazy import LazyGroup

VERBS = {"export": "Write a workload for JMeter's or Locust's machines."}


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    package=__name__,
    epilog="Example: twinserve load export --format locust --url https://HOST --out load.py",
)
def command() -> None:
    """Have the load sent by more machines than this one; docs/more-machines.md shows how."""
