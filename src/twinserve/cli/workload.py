"""``--profile``, ``--workload`` and the options that change a workload's numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any

import click

from twinserve.cli.options import duration_option
from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.records.samples import Sample
from twinserve.workload import Workload
from twinserve.workload.file import MOST_RPS, read_workload
from twinserve.workload.profiles import (
    ORIGINAL,
    PROFILES,
    Kind,
    changed,
    fit_users,
    profile,
)

USUAL = "quick"
COLD_IDLE_S = 0.2
OPTIONS = (
    click.option(
        "--profile",
        type=click.Choice(PROFILES),
        help=f"A ready-made workload; the options below change its numbers.  [default: {USUAL}]",
    ),
    click.option(
        "--workload",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A workload of your own (TOML), in place of a profile.",
    ),
    click.option(
        "--arrivals",
        type=click.Choice(["closed", "constant", "poisson"]),
        help="Users who wait for their answers, or requests that are due at a rate.  [default: "
        "closed, with --rate poisson]",
    ),
    click.option("--users", type=click.IntRange(1, 1000), help="How many users ask at a time."),
    click.option(
        "--rate",
        type=click.FloatRange(0, MOST_RPS, min_open=True),
        metavar="RPS",
        help="Requests a second that are due, answered or not; each is timed from then.",
    ),
    duration_option("--duration", "Length of the load on both sides together, e.g. 90s or 10m."),
    click.option("--images", type=click.IntRange(1, 64), help="Images a request."),
    click.option(
        "--seed", type=click.IntRange(0, 2**31), help="Draws the blocks' order and the requests."
    ),
)


@dataclass(frozen=True)
class WorkloadOptions:
    """As typed."""

    profile: str | None
    file: Path | None
    arrivals: Kind | None
    users: int | None
    rate: float | None
    duration: float | None
    images: int | None
    seed: int | None


def workload_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a workload; the function gets them as one argument, ``asked``."""
    names = [field.name for field in fields(WorkloadOptions)]

    @wraps(function)
    def wrapped(*args: Any, **given: Any) -> Any:
        asked = WorkloadOptions(**{name: given.pop(name) for name in names})
        return function(*args, asked=asked, **given)

    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def chosen_workload(asked: WorkloadOptions, sides: int = 2) -> Workload:
    """The workload that the options ask for; ``--duration`` is that of all ``sides`` together.

    Raises:
        UsageError: the file or an option cannot be used, or two of them exclude each other.
    """
    if asked.file is not None and asked.profile is not None:
        raise UsageError(
            f"--workload {asked.file} and --profile {asked.profile} exclude each other; leave one "
            f"out."
        )
    start = profile(asked.profile or USUAL) if asked.file is None else read_workload(asked.file)
    return changed(
        start,
        kind=asked.arrivals,
        users=asked.users,
        rate_rps=asked.rate,
        duration_s=asked.duration,
        images=asked.images,
        seed=asked.seed,
        sides=sides,
    )


def format_long(seconds: float) -> str:
    """A duration as people say it: ``50 s``, ``21 minutes``, ``2.5 hours``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.1f} hours"


def is_fitted_to_host(workload: Workload) -> bool:
    """Whether its users are to be as many as this machine serves: the original's, unchanged."""
    return workload.profile == ORIGINAL and workload.users == profile(ORIGINAL).users


def fitted_to_host(
    workload: Workload, answered: Iterable[Sample], deployments: Iterable[Deployment]
) -> tuple[Workload, str]:
    """The workload with as many users as this machine serves, and a sentence that says so.

    ``answered`` are the first requests to the sides, ``deployments`` the sides as they run here.
    """
    took_ms = [s.process_ms / s.images for s in answered if s.success and s.process_ms]
    if not took_ms:
        return workload, f"All {workload.users} users are run: no request was timed before."
    at_a_time = min(each.max_instances * each.cpu for each in deployments)
    return fit_users(workload, median(took_ms) * workload.images / 1000, at_a_time)


def cooled(deployment: Deployment) -> Deployment:
    """The deployment as a cold workload needs it: its last instance goes right after a request.

    Raises:
        UsageError: it keeps instances without a request.
    """
    if deployment.min_instances:
        raise UsageError(
            f"{deployment.name} has min_instances = {deployment.min_instances}, so that no request "
            f"finds it cold; a cold workload needs 0."
        )
    return replace(deployment, idle_s=min(deployment.idle_s, COLD_IDLE_S))
