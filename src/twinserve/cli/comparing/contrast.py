"""``--contrast``: a third series, the one side's serving stack with the other side's settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import click

from twinserve.deployment import Deployment, Kind
from twinserve.errors import UsageError
from twinserve.scaling.allowed import violations
from twinserve.workload import Workload

CONTRAST = "contrast"


@dataclass(frozen=True)
class Chosen:
    """The contrast, if there is one, and what to tell the user about it before the run."""

    deployment: Deployment | None
    said: str = ""


def contrast_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--contrast/--no-contrast",
        default=None,
        help="Load a third series, the container with the function's settings, which tells "
        "settings from serving stack; half as long again.  [default: where the sides differ in "
        "both]",
    )(function)


def chosen_contrast(
    wanted: bool | None, first: Deployment, second: Deployment, workload: Workload
) -> Chosen:
    """The matched contrast as the option asks for it.

    Raises:
        UsageError: it was asked for, and there can be none.
    """
    if wanted is False:
        return Chosen(None)
    why = _why_not(first, second, workload)
    contrast = matched_contrast(first, second)
    if not why and contrast is not None:
        return Chosen(contrast, _announced(contrast, first, second))
    if wanted:
        raise UsageError(f"--contrast: {why}. Leave it out.")
    differ = first.kind is not second.kind and first.concurrency != second.concurrency
    return Chosen(None, f"No matched contrast: {why}." if differ else "")


def matched_contrast(first: Deployment, second: Deployment) -> Deployment | None:
    """The container with the settings of the function; None where both have one serving stack."""
    if first.kind is second.kind:
        return None
    container, function = (first, second) if first.kind is Kind.CONTAINER else (second, first)
    return replace(
        container,
        name=CONTRAST,
        cpu=function.cpu,
        memory_mib=function.memory_mib,
        concurrency=function.concurrency,
        min_instances=function.min_instances,
        max_instances=function.max_instances,
        idle_s=function.idle_s,
    )


def _why_not(first: Deployment, second: Deployment, workload: Workload) -> str:
    """Why there can be no contrast, or should be none; empty where it tells something."""
    contrast = matched_contrast(first, second)
    if contrast is None:
        return "both sides have the same serving stack, so all that differs is settings"
    if first.concurrency == second.concurrency:
        return "both sides take as many requests at a time, so the contrast would be one of them"
    if workload.concurrent:
        return "with --concurrent a third series would take from the two sides"
    if workload.cold:
        return "a side that is cold for each request never has two of them at a time"
    if CONTRAST in (first.name, second.name):
        return f"a side is named {CONTRAST!r} itself"
    for violation in violations(contrast):
        return (
            f"the container's policy does not allow the function's settings ({violation.key} is "
            f"{violation.value}; allowed is {violation.reason})"
        )
    return ""


def _announced(contrast: Deployment, first: Deployment, second: Deployment) -> str:
    container, function = (first, second) if first.kind is Kind.CONTAINER else (second, first)
    return (
        f"Contrast: the {container.name} with the settings of the {function.name} "
        f"({contrast.concurrency:g} instead of {container.concurrency:g} requests at a time) runs "
        f"as a third series, to tell settings from serving stack; --no-contrast leaves it out."
    )
