"""``twinserve deploy knative``."""

from __future__ import annotations

from typing import Any

import click

from twinserve.cli.deploying.flow import run
from twinserve.cli.deploying.options import Choices, cluster_options, common_options
from twinserve.cloud.target import Target


@click.command(epilog="Example: twinserve deploy knative --image ghcr.io/me/faces:1 --dry-run")
@common_options
@cluster_options
@click.option(
    "--gateway",
    default="",
    metavar="URL",
    help="Where the cluster's ingress is reached, if the service's name is not known here.",
)
def command(**options: Any) -> None:
    """Make DEPLOYMENT (default: container) a Knative service on the cluster of the kubeconfig."""
    run(Target.KNATIVE, Choices(**options))
