"""``twinserve deploy kubernetes``."""

from __future__ import annotations

from typing import Any

import click

from twinserve.cli.deploying.flow import run
from twinserve.cli.deploying.options import Choices, cluster_options, common_options
from twinserve.cloud.target import Target


@click.command(epilog="Example: twinserve deploy kubernetes --image ghcr.io/me/faces:1 --dry-run")
@common_options
@cluster_options
def command(**options: Any) -> None:
    """Make DEPLOYMENT (default: container) run on the cluster of the kubeconfig: a Deployment, a
    Service and a HorizontalPodAutoscaler."""
    run(Target.KUBERNETES, Choices(**options))
