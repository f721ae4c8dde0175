"""``twinserve compare``."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from twinserve.bundle.bundle import BundleFacts
from twinserve.bundle.store import bundle_facts, default_model
from twinserve.cli.load_tool import LoadTool, chosen_load_tool, load_tool_options
from twinserve.cli.options import (
    duration_option,
    model_option,
    needs,
    platform_lines,
    say_model,
)
from twinserve.cli.progress import Meter, progress
from twinserve.cli.runner import prepared_runner, runner_option
from twinserve.cli.sides import config_option, known_deployments, sides_option, two_sides
from twinserve.cli.verdict import analyse, format_verdict
from twinserve.deployment import Deployment, fair_defaults
from twinserve.errors import TwinserveError, UsageError
from twinserve.load.experiment import Experiment
from twinserve.load.jmeter import JMeterExperiment
from twinserve.load.profiles import PROFILES, load_seconds, workload_of
from twinserve.load.sender import Clock, Sender
from twinserve.records.manifest import (
    Manifest,
    ModelFacts,
    RunState,
    Workload,
    package_versions,
    this_hardware,
    write_manifest,
)
from twinserve.records.run import RunDirectory
from twinserve.records.samples import SampleWriter
from twinserve.runtime.capacity import host_capacity
from twinserve.runtime.platform import LocalPlatform

IDLE_S = 900.0  # as the clouds do; a side must not lose its instance while the other one is loaded


@click.command(epilog="Example: twinserve compare --profile quick --users 8 --out runs/eight-users")
@sides_option
@config_option
@model_option
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="quick",
    show_default=True,
    help="A ready-made workload; the options below change its numbers.",
)
@click.option("--users", type=click.IntRange(1, 1000), help="How many users ask at a time.")
@runner_option
@load_tool_options
@duration_option("--duration", "Length of the load on both sides together, e.g. 90s or 10m.")
@click.option("--images", type=click.IntRange(1, 64), help="Images a request.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31), help="Draws the blocks' order and the seeds."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the run.  [default: runs/<time>]",
)
def command(
    sides: str,
    config: Path | None,
    model: str | None,
    profile: str,
    users: int | None,
    runner: str,
    load_tool: str,
    jmeter: str | None,
    remote: str | None,
    duration: float | None,
    images: int | None,
    seed: int | None,
    out: Path | None,
) -> None:
    """Load both deployments and say which to choose.

    Starts both sides on this machine (the container and the function, or any two deployments of a
    twinserve.toml), checks that both give the same pixels, loads them in adjacent pairs of blocks,
    and writes a run directory with a report.
    """
    with needs("lab"):
        import altair  # noqa: F401
        import polars  # noqa: F401
        import scipy  # noqa: F401
        import vl_convert  # noqa: F401
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    tool = chosen_load_tool(load_tool, jmeter, remote)
    workload = tool.fitted(workload_of(profile, users, duration, images, seed))
    deployments = _deployments(sides, config, model)
    facts = bundle_facts(deployments[0].model)
    run = RunDirectory.create(out or Path("runs") / time.strftime("%Y-%m-%d-%H%M%S"))
    interrupted = False
    try:
        _measure(run, workload, deployments, facts, runner, tool)
    except KeyboardInterrupt:
        if not run.samples.exists():
            raise
        interrupted = True
        click.echo("Interrupted: analysing what was measured until now.", err=True)
    comparison = analyse(run)
    for line in format_verdict(comparison, run):
        click.echo(line)
    if interrupted:
        raise KeyboardInterrupt


def _deployments(sides: str, config: Path | None, model: str | None) -> Sequence[Deployment]:
    """The two sides, with one model: an option goes before the file, the file before what is found.

    Raises:
        UsageError: they cannot be used, or run different models.
    """
    found = known_deployments(config, fair_defaults(model or default_model(), IDLE_S))
    chosen = two_sides(sides, found)
    if model:
        chosen = (replace(chosen[0], model=model), replace(chosen[1], model=model))
    first, second = chosen
    if first.model != second.model:
        raise UsageError(
            f"{first.name} runs {first.model}, {second.name} runs {second.model}; both sides of a "
            f"comparison run one model: name it with --model."
        )
    return chosen


def _measure(
    run: RunDirectory,
    workload: Workload,
    deployments: Sequence[Deployment],
    facts: BundleFacts,
    runner: str,
    tool: LoadTool,
) -> None:
    say_model(facts)
    with LocalPlatform(
        deployments,
        events=run.events,
        resources=run.resources,
        billing=run.billing,
        log=run.path / "instances.log",
        runner=prepared_runner(runner, deployments),
    ) as platform:
        manifest = _manifest(platform, workload, facts)
        manifest.versions |= tool.versions
        click.echo("\n".join([*platform.notes, *platform_lines(platform)]), err=True)
        click.echo(
            f"Load: {workload.users} users, {workload.blocks} blocks of {workload.block_s:g} s a "
            f"side{tool.described}; about {load_seconds(workload) + 15:.0f} s in all. "
            f"Run: {run.path}",
            err=True,
        )
        try:
            asyncio.run(_load(run, manifest, platform, tool))
        except KeyboardInterrupt:
            _finish(run, manifest, RunState.INTERRUPTED, "interrupted by the user")
            raise
        except TwinserveError as error:
            _finish(run, manifest, RunState.FAILED, str(error))
            raise
        _finish(run, manifest, RunState.COMPLETE, "")


def _manifest(platform: LocalPlatform, workload: Workload, facts: BundleFacts) -> Manifest:
    capacity = host_capacity()
    return Manifest(
        started_epoch_ms=time.time() * 1000,
        versions=package_versions(),
        hardware=this_hardware(capacity.cores, capacity.memory_mib),
        runner=platform.runner.name,
        deployments={name: each.without_values() for name, each in platform.deployments.items()},
        cap=" ".join(platform_lines(platform)),
        model=ModelFacts(
            facts.name, facts.content_hash, facts.resolution, facts.terms, facts.commercial_use
        ),
        workload=workload,
    )


async def _load(
    run: RunDirectory, manifest: Manifest, platform: LocalPlatform, tool: LoadTool
) -> None:
    """Everything that is timed; the manifest on disk grows by each block that has ended."""
    clock = Clock.start()
    manifest.started_epoch_ms = clock.started_epoch_ms
    write_manifest(run.manifest, manifest)
    workload = manifest.workload
    with SampleWriter(run.samples) as samples, progress("Load", 2 * workload.blocks + 2) as meter:
        async with Sender(clock) as sender:
            experiment = tool.experiment(
                platform.urls, workload, clock, sender, samples.add, run.path
            )
            meter.update(0, "starting both sides from zero, comparing their answers")
            manifest.equality = await experiment.check_equality()
            write_manifest(run.manifest, manifest)
            meter.update(1, "warming up")
            await experiment.warm_up()
            await _run_blocks(run, manifest, platform, experiment, meter)


async def _run_blocks(
    run: RunDirectory,
    manifest: Manifest,
    platform: LocalPlatform,
    experiment: Experiment | JMeterExperiment,
    meter: Meter,
) -> None:
    total = 2 * manifest.workload.blocks
    meter.update(2, f"block 1 of {total}")
    async for block in experiment.blocks():
        manifest.blocks.append(block)
        write_manifest(run.manifest, manifest)
        platform.check()
        done = block.index + 1
        meter.update(2 + done, f"block {min(done + 1, total)} of {total}")


def _finish(run: RunDirectory, manifest: Manifest, state: RunState, detail: str) -> None:
    manifest.state = state
    manifest.detail = detail
    manifest.finished_epoch_ms = time.time() * 1000
    write_manifest(run.manifest, manifest)
