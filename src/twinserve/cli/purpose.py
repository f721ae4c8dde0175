"""``--objective``, ``--requests-per-month`` and ``--goal``: what the verdict is for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from twinserve.cli.amounts import Count
from twinserve.cli.options import needs
from twinserve.errors import RecordError, UsageError

if TYPE_CHECKING:
    from twinserve.analysis.purpose import Purpose
    from twinserve.records.run import RunDirectory

GOALS = ("cheapest", "fastest")
OPTIONS = (
    click.option(
        "--objective",
        "objectives",
        multiple=True,
        metavar="LIMIT",
        help='What a side must keep: "p95<1s", "errors<1%"; again for more.  [default: both]',
    ),
    click.option(
        "--requests-per-month",
        type=Count(),
        metavar="NUMBER",
        help="Your traffic, as 500k or 3M: of two sides that keep the objective, the cheaper.",
    ),
    click.option(
        "--goal",
        type=click.Choice(GOALS),
        help="What decides between them.  [default: cheapest with a traffic, else fastest]",
    ),
)


def purpose_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The three options; the function gets them as one argument, ``purpose``: None where none was
    given."""

    @wraps(function)
    def wrapped(
        *args: Any,
        objectives: tuple[str, ...],
        requests_per_month: float | None,
        goal: str | None,
        **given: Any,
    ) -> Any:
        stated = bool(objectives) or requests_per_month is not None or goal is not None
        purpose = chosen_purpose(objectives, requests_per_month, goal) if stated else None
        return function(*args, purpose=purpose, **given)

    found: Callable[..., Any] = wrapped
    for option in reversed(OPTIONS):
        found = option(found)
    return found


def chosen_purpose(
    objectives: tuple[str, ...] = (),
    requests_per_month: float | None = None,
    goal: str | None = None,
) -> Purpose:
    """What the options ask for.

    Raises:
        UsageError: an objective cannot be read, or the cheapest is wanted of no traffic.
    """
    with needs("lab"):
        from twinserve.analysis.purpose import Goal, Purpose, parse_objective
    if goal == "cheapest" and requests_per_month is None:
        raise UsageError(
            "--goal cheapest needs your traffic: what is cheaper depends on it; add "
            "--requests-per-month 3M."
        )
    return Purpose(
        parse_objective(objectives), requests_per_month, Goal(goal) if goal is not None else None
    )


def purpose_before(run: RunDirectory) -> Purpose:
    """What the analysis before this one was for; none where there was none that can be read."""
    from twinserve.analysis.comparison import read_comparison
    from twinserve.analysis.purpose import purpose_of

    try:
        return purpose_of(read_comparison(run.comparison).purpose)
    except RecordError:
        return purpose_of(None)
