"""``--sides`` and ``--config``: which two deployments, out of those that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from twinserve.deployment import SIDES, Deployment
from twinserve.deployment.file import FILE_NAME, Deployments, read_deployments
from twinserve.errors import UsageError
from twinserve.scaling.allowed import violations

USUAL_SIDES = ",".join(SIDES)


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=f"File that describes deployments.  [default: {FILE_NAME} here, if there is one]",
    )(function)


def sides_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--sides",
        default=USUAL_SIDES,
        show_default=True,
        metavar="A,B",
        help="Two deployments by name; see `twinserve deployments`.",
    )(function)


def known_deployments(config: Path | None, defaults: Mapping[str, Deployment]) -> Deployments:
    """The defaults and those of the file, each allowed by its policy.

    Raises:
        UsageError: the file, or a deployment in it, cannot be used.
    """
    here = Path(FILE_NAME)
    found = read_deployments(config or (here if here.is_file() else None), defaults)
    for name, deployment in found.known.items():
        for violation in violations(deployment):
            raise found.impossible(name, violation.key, violation.value, violation.reason)
    return found


def of_one_model(
    sides: tuple[Deployment, Deployment], model: str | None
) -> tuple[Deployment, Deployment]:
    """Both sides with one model: an option goes before the file.

    Raises:
        UsageError: they run different models.
    """
    first, second = sides
    if model:
        return replace(first, model=model), replace(second, model=model)
    if first.model != second.model:
        raise UsageError(
            f"{first.name} runs {first.model}, {second.name} runs {second.model}; both sides of a "
            f"comparison run one model: name it with --model."
        )
    return sides


def two_sides(sides: str, found: Deployments) -> tuple[Deployment, Deployment]:
    """The deployments that ``sides`` names.

    Raises:
        UsageError: it names not two, the same twice, or one that there is not.
    """
    names = [name.strip() for name in sides.split(",")]
    if len(names) != 2 or names[0] == names[1]:
        raise UsageError(f"--sides is {sides!r}; name two different deployments, as in A,B.")
    for name in names:
        if name not in found.known:
            where = found.path or f"a {FILE_NAME}"
            raise UsageError(
                f"--sides names {name!r}; known are {', '.join(found.known)}. Describe others in "
                f"{where}."
            )
    return found.known[names[0]], found.known[names[1]]
