"""``--like``: a run of the past from which a plan learns what it will be able to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinserve.records.run import RunDirectory

if TYPE_CHECKING:
    from twinserve.analysis.past import PastRun

KEY = f"{__name__}.run"  # only what is said before the load needs it: not an argument of the verb


def like_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--like",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        metavar="RUN",
        expose_value=False,
        callback=_remember,
        help="A run directory of the past: what difference the new run can see is then told from "
        "how far that one's blocks lay apart, in place of a quiet host's.",
    )(function)


def past_run() -> PastRun | None:
    """The run that ``--like`` names; None without one.

    Raises:
        RecordError: it cannot be read.
    """
    context = click.get_current_context(silent=True)
    return context.meta.get(KEY) if context else None


def _remember(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    from twinserve.analysis.past import read_past

    context.meta[KEY] = read_past(RunDirectory(path))
