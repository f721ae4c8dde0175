"""``twinserve compare``."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from twinserve.cli.comparing.contrast import contrast_option
from twinserve.cli.comparing.like import like_option
from twinserve.cli.comparing.local import LocalSides, measure_locally, search_locally
from twinserve.cli.comparing.places import LocalOptions, chosen_places
from twinserve.cli.comparing.rates import RateSearch, chosen_search, find_rate_option
from twinserve.cli.comparing.remote import (
    RemoteOptions,
    RemoteSides,
    measure_remotely,
    remote_options,
    search_remotely,
)
from twinserve.cli.comparing.stopping import Stop, chosen_stop, until_option
from twinserve.cli.load_tool import LoadTool, chosen_load_tool, load_tool_options
from twinserve.cli.options import check_lab, model_option
from twinserve.cli.purpose import purpose_options
from twinserve.cli.runner import runner_option
from twinserve.cli.sides import config_option, sides_option
from twinserve.cli.thresholds import Wanted, conclude, threshold_options
from twinserve.cli.verdict import analyse, format_verdict
from twinserve.cli.workload import WorkloadOptions, chosen_workload, workload_options
from twinserve.errors import UsageError
from twinserve.load.limits import LimitReached
from twinserve.records.run import RunDirectory
from twinserve.workload import Workload
from twinserve.workload.profiles import changed

if TYPE_CHECKING:
    from twinserve.analysis.purpose import Purpose

MOST_RPS = 10_000.0  # where a search for rates ends


@click.command(epilog="Example: twinserve compare --profile quick --users 8 --out runs/eight-users")
@sides_option
@config_option
@model_option
@workload_options
@click.option(
    "--repeats",
    type=click.IntRange(1, 100),
    help="Start both sides anew so many times; a repeat is then what an interval counts, and six "
    "are the fewest.  [default: 1]",
)
@click.option("--concurrent", is_flag=True, help="Load both sides at the same time.")
@contrast_option
@until_option
@like_option
@find_rate_option
@purpose_options
@runner_option
@load_tool_options
@remote_options
@threshold_options
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the run.  [default: runs/<time>]",
)
def command(
    sides: str,
    config: Path | None,
    model: str | None,
    asked: WorkloadOptions,
    repeats: int | None,
    concurrent: bool,
    contrast: bool | None,
    until: float | None,
    find_rate: tuple[float, float] | None,
    runner: str,
    load_tool: str | None,
    jmeter: str | None,
    remote: str | None,
    elsewhere: RemoteOptions,
    purpose: Purpose | None,
    wanted: Wanted,
    out: Path | None,
) -> None:
    """Load both deployments and say which to choose.

    Starts both sides on this machine (the container and the function, or any two deployments of a
    twinserve.toml), or asks two services that run elsewhere; checks that both give the same images,
    loads them in adjacent pairs of blocks, and writes a run directory with a report.
    """
    _prepare()
    workload = _workload(asked, repeats, concurrent, of_one_load=find_rate is not None)
    tool = chosen_load_tool(load_tool, jmeter, remote, workload)
    workload = tool.fitted(workload)
    if find_rate is not None:
        _check_alone(workload, tool, until, contrast, wanted, purpose)
        contrast = False
    here = LocalOptions(sides, config, model, runner, contrast)
    places = chosen_places(here, elsewhere, workload, tool)
    wanted.check_sides(places.names)
    stop = chosen_stop(until, workload)
    search = find_rate and chosen_search(find_rate, workload, asked.duration, _most_rps(elsewhere))
    run = RunDirectory.create(out or Path("runs") / time.strftime("%Y-%m-%d-%H%M%S"))
    if search:
        _search(run, places, search)
    else:
        _compare(run, _measure_of(run, workload, places, tool, stop), wanted, purpose)


def _prepare() -> None:
    """Miss nothing after minutes of load, and take a polite end as Ctrl-C."""
    check_lab()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def _workload(
    asked: WorkloadOptions, repeats: int | None, concurrent: bool, of_one_load: bool
) -> Workload:
    """The workload with repeats, which share its duration; a search's is that of one load."""
    workload = chosen_workload(replace(asked, duration=None))
    workload = msgspec.structs.replace(
        workload,
        repeats=repeats or workload.repeats,
        concurrent=concurrent or workload.concurrent,
    )
    if asked.duration is None or of_one_load:
        return workload
    return changed(workload, duration_s=asked.duration)


def _measure_of(
    run: RunDirectory,
    workload: Workload,
    places: LocalSides | RemoteSides,
    tool: LoadTool,
    stop: Stop | None,
) -> Callable[[], None]:
    if isinstance(places, RemoteSides):
        return partial(measure_remotely, run, workload, places, tool, stop)
    return partial(measure_locally, run, workload, places, tool, stop)


def _compare(
    run: RunDirectory, measure: Callable[[], None], wanted: Wanted, purpose: Purpose | None
) -> None:
    """Measure, analyse what there is, say the verdict; an interruption goes on after that."""
    interrupted = False
    try:
        measure()
    except LimitReached as reached:
        click.echo(f"{reached} Analysing what was measured until now.", err=True)
    except KeyboardInterrupt:
        if not run.samples.exists():
            raise
        interrupted = True
        click.echo("Interrupted: analysing what was measured until now.", err=True)
    click.echo("Analysing; the simulation is compiled at its first use, about 20 s once.", err=True)
    comparison = analyse(run, purpose)
    for line in format_verdict(comparison, run):
        wanted.say(line)
    if interrupted:
        raise KeyboardInterrupt
    conclude(wanted, comparison, run)


def _search(run: RunDirectory, places: LocalSides | RemoteSides, search: RateSearch) -> None:
    """Search, and say what is known; after an interruption as well."""
    from twinserve.analysis.rates import format_rates, read_rates

    interrupted = False
    try:
        if isinstance(places, RemoteSides):
            search_remotely(run, places, search)
        else:
            search_locally(run, places, search)
    except KeyboardInterrupt:
        if not run.rates.exists():
            raise
        interrupted = True
        click.echo("Interrupted: this is known until now.", err=True)
    for line in format_rates(read_rates(run.rates)):
        click.echo(line)
    click.echo(f"Result: {run.rates}")
    if interrupted:
        raise KeyboardInterrupt


def _most_rps(elsewhere: RemoteOptions) -> float:
    return elsewhere.limits.max_rate_rps if elsewhere.are_given else MOST_RPS


def _check_alone(
    workload: Workload,
    tool: LoadTool,
    until: float | None,
    contrast: bool | None,
    wanted: Wanted,
    purpose: Purpose | None,
) -> None:
    """Returns if no option was given that a search for rates has no use for.

    Raises:
        UsageError: one was.
    """
    given = {
        "--until": until is not None,
        "--repeats": workload.repeats > 1,
        "--concurrent": workload.concurrent,
        "--contrast": bool(contrast),
        "--load-tool jmeter": tool.jmeter is not None,
        "--fail-if": bool(wanted.thresholds),
        "--junit": wanted.junit is not None,
        "--markdown": wanted.markdown is not None,
        "--objective, --requests-per-month or --goal": purpose is not None,
    }
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"--find-rate compares nothing; leave {option} out.")
