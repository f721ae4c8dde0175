"""``twinserve deploy cloud-functions``."""

from __future__ import annotations

import sys
from typing import Any

import click

from twinserve.cli.deploying.flow import run
from twinserve.cli.deploying.options import Choices, common_options, google_options
from twinserve.cloud.target import Target

# The versions in requirements.txt are those of this Python.
RUNTIME = f"python{sys.version_info.major}{sys.version_info.minor}"


@click.command(epilog="Example: twinserve deploy cloud-functions --project my-project --dry-run")
@common_options
@google_options
@click.option("--runtime", default=RUNTIME, show_default=True, help="Google's name of the Python.")
def command(**options: Any) -> None:
    """Make DEPLOYMENT (default: function) a Cloud Functions function, 2nd gen.

    Its source is uploaded, and Google builds it.
    """
    run(Target.CLOUD_FUNCTIONS, Choices(**options))
