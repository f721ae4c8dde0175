"""The options of the deploy verbs, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from twinserve.cli.options import Duration, model_option
from twinserve.cli.sides import config_option

Command = Callable[..., Any]
REGION = "us-central1"


@dataclass(frozen=True)
class Choices:
    """What was asked for; what a target has no option for stays empty."""

    deployment: str | None
    name: str | None
    model: str | None
    config: Path | None
    public: bool
    accept_terms: bool
    dry_run: bool
    out: Path | None
    delete: bool
    verify: bool
    within: float
    service_account: str = ""
    project: str = ""
    region: str = ""
    runtime: str = ""
    image: str = ""
    registry: str = ""
    context: str = ""
    namespace: str = ""
    gateway: str = ""


def common_options(function: Command) -> Command:
    """What all four verbs take."""
    options: list[Callable[[Command], Command]] = [
        click.argument("deployment", required=False),
        click.option("--name", help="Name over there.  [default: twinserve-DEPLOYMENT]"),
        model_option,
        config_option,
        click.option("--public", is_flag=True, help="Let everyone call it.  [default: private]"),
        click.option(
            "--accept-terms",
            is_flag=True,
            help="The model's terms allow non-commercial use only, and this is such.",
        ),
        click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing."),
        click.option(
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            help="Write files for other tools there, and send nothing.",
        ),
        click.option(
            "--delete", is_flag=True, help="Remove what this command made, and nothing else."
        ),
        click.option(
            "--verify/--no-verify",
            default=True,
            show_default=True,
            help="Ask it when it is there: ready, and the same images as here?",
        ),
        click.option(
            "--within", type=Duration(), default=900.0, help="Wait so long.  [default: 15m]"
        ),
        click.option(
            "--service-account", default="", metavar="NAME", help="The account it runs as there."
        ),
    ]
    return _all(function, options)


def google_options(function: Command) -> Command:
    """What both Google verbs take."""
    options = [
        click.option(
            "--project", envvar="GOOGLE_CLOUD_PROJECT", default="", help="Id of the project."
        ),
        click.option("--region", default=REGION, show_default=True),
    ]
    return _all(function, options)


def cluster_options(function: Command) -> Command:
    """What both cluster verbs take."""
    options = [
        click.option(
            "--context", default="", help="Of the kubeconfig.  [default: the current one]"
        ),
        click.option("--namespace", default="", help="[default: the context's, else default]"),
        click.option(
            "--registry",
            default="",
            metavar="PREFIX",
            help="Build the image and push it there, such as ghcr.io/me.",
        ),
    ]
    return _all(image_option(function), options)


def image_option(function: Command) -> Command:
    return click.option(
        "--image", default="", metavar="REF", help="An image that is in a registry already."
    )(function)


def _all(function: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    for option in reversed(options):
        function = option(function)
    return function
