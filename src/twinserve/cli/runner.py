"""``--runner``: which one runs the instances, and the images that an engine needs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.runtime.artefacts.context import DEFAULT_BASE, fetch_wheels, write_context
from twinserve.runtime.artefacts.image import build_image, find_engine, has_image, tag_of
from twinserve.runtime.runner import NAMES, PROCESS, RUNNERS, RunnerChoice

AUTO = "auto"
VARIABLE = "TWINSERVE_RUNNER"
# Podman, Docker's old builder, Docker's new one.
STEP = re.compile(r"(\[\d+/\d+\] )?STEP |Step \d|#\d+ \[")
BASE_VARIABLE = "TWINSERVE_BASE_IMAGE"


def runner_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--runner",
        type=click.Choice([AUTO, *RUNNERS]),
        default=AUTO,
        show_default=True,
        help=f"What runs the instances. auto: ${VARIABLE} if it is set, else plain processes.",
    )(function)


def chosen_runner(wanted: str) -> str:
    """The runner's name.

    Raises:
        UsageError: the environment names one that does not exist.
    """
    if wanted != AUTO:
        return wanted
    named = os.environ.get(VARIABLE) or PROCESS
    if named not in RUNNERS:
        raise UsageError(f"${VARIABLE} is {named!r}; it can be {', '.join(RUNNERS)}.")
    return named


def prepared_runner(wanted: str, deployments: Sequence[Deployment]) -> RunnerChoice:
    """The runner with an image for each deployment; what is missing is built, and that is said.

    Raises:
        UsageError: its engine is not installed.
        RuntimeFailure: an image could not be built.
    """
    name = chosen_runner(wanted)
    if name == PROCESS:
        return RunnerChoice()
    if find_engine(name) is None:
        raise UsageError(f"{NAMES[name]} is not installed; install it, or use --runner process.")
    built: dict[tuple[str, ...], str] = {}
    for deployment in deployments:
        models = (deployment.model, *deployment.more_models)
        if models not in built:
            built[models] = _image(name, models)
    images = {each.name: built[(each.model, *each.more_models)] for each in deployments}
    return RunnerChoice(name, images)


def say_step(line: str) -> None:
    """The lines that tell how far a build is: Podman's and Docker's, without pip's."""
    if STEP.match(line):
        click.echo(f"  {line}"[:100], err=True)


def _image(engine: str, models: tuple[str, ...]) -> str:
    """The tag of the models' image, which is built unless it is there."""
    base = os.environ.get(BASE_VARIABLE) or DEFAULT_BASE
    with TemporaryDirectory(prefix="twinserve-") as folder:
        context = write_context(Path(folder) / "context", models, base)
        tag = tag_of(context)
        if not has_image(engine, tag):
            click.echo(
                f"Building the image of {', '.join(models)} with {NAMES[engine]}, once for this "
                f"version and model; this takes a few minutes.",
                err=True,
            )
            fetch_wheels(context)
            build_image(engine, context, tag, say=say_step)
    click.echo(f"Image: {tag}", err=True)
    return tag
