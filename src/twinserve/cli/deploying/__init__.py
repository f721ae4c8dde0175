"""``twinserve deploy``: a group of verbs, a file each, imported when it is called."""

from __future__ import annotations

import click

from twinserve.cli.lazy import LazyGroup

VERBS = {
    "cloud-run": "A service on Google's Cloud Run.",
    "cloud-functions": "A function on Google's Cloud Functions (2nd gen).",
    "knative": "A Knative service on a Kubernetes cluster.",
    "kubernetes": "A plain Deployment with Service and autoscaler on a cluster.",
}


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    package=__name__,
    epilog="Example: twinserve deploy cloud-run --project my-project --dry-run",
)
def command() -> None:
    """Send a deployment off this machine. It costs money there: docs/deploy.md says what for.

    The same command again changes nothing; --dry-run shows what would be sent, --out writes it as
    files for other tools, --delete removes what was made.
    """
