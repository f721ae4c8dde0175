"""``twinserve deploy cloud-run``."""

from __future__ import annotations

from typing import Any

import click

from twinserve.cli.deploying.flow import run
from twinserve.cli.deploying.options import Choices, common_options, google_options, image_option
from twinserve.cloud.target import Target


@click.command(epilog="Example: twinserve deploy cloud-run --project my-project --dry-run")
@common_options
@google_options
@image_option
def command(**options: Any) -> None:
    """Make DEPLOYMENT (default: container) a Cloud Run service.

    Without --image the image is built here and pushed to the project's Artifact Registry.
    """
    run(Target.CLOUD_RUN, Choices(**options))
