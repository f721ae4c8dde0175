"""What is said before a run: the load, how long it takes, and what difference it can see."""

from __future__ import annotations

import click

from twinserve.cli.comparing.like import past_run
from twinserve.cli.comparing.stopping import Stop
from twinserve.cli.load_tool import LoadTool
from twinserve.cli.workload import format_long
from twinserve.records.run import RunDirectory
from twinserve.workload import Workload
from twinserve.workload.profiles import load_seconds
from twinserve.workload.words import load_words

AROUND_S = 15.0  # starting both sides, comparing their answers, the report


def say_load(
    workload: Workload,
    run: RunDirectory,
    tool: LoadTool,
    stop: Stop | None,
    contrast: bool = False,
) -> None:
    """The plan in a few lines, on the error stream."""
    sides = 3 if contrast else 2
    seconds = load_seconds(workload, sides) + AROUND_S * workload.repeats
    said = [
        f"This takes about {format_long(seconds)}. Run: {run.path}",
        f"Load: {load_words(workload)}; {_blocks(workload, contrast)}{tool.described}.",
        *detectable_lines(workload),
        *([stop.said] if stop else []),
    ]
    click.echo("\n".join(said), err=True)


def detectable_lines(workload: Workload) -> list[str]:
    """What difference this plan can see, and what a single run cannot."""
    from twinserve.analysis.planning import assumed_spread, detectable_before, expected_rows
    from twinserve.analysis.statistics import rows_needed

    past = past_run()
    rows = expected_rows(workload, past.response_s if past else None)
    units, unit = workload.blocks, "block"
    if workload.repeats > 1:
        units, unit, rows = workload.repeats, "repeat", rows and rows * workload.blocks
    if past and past.unit != unit:
        return [f"Detectable: undetermined; {past.spread.basis} is of {past.unit}s, not {unit}s."]
    spread = past.spread if past else assumed_spread(rows or rows_needed(0.95) / units)
    found = detectable_before(units, rows, spread, "p95").described()
    if workload.repeats == 1:
        return [found]
    return [f"{found} A repeat is what a block is in one run."]


def _blocks(workload: Workload, contrast: bool) -> str:
    each = f"{workload.blocks} blocks of {workload.block_s:g} s a side"
    beside = " and as many of the contrast" if contrast else ""
    at_once = ", both sides at the same time" if workload.concurrent else ""
    repeats = (
        f", {workload.repeats} times, both sides started anew each time"
        if workload.repeats > 1
        else ""
    )
    return f"{each}{beside}{at_once}{repeats}"
