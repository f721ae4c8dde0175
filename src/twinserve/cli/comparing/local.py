"""Both sides on this machine: started, loaded and stopped, once for each repeat."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from twinserve.bundle.bundle import BundleFacts
from twinserve.cli.comparing.announcing import say_load
from twinserve.cli.comparing.loading import Loading, load_repeat
from twinserve.cli.comparing.rates import RateSearch, search_rates
from twinserve.cli.comparing.recording import Recorder
from twinserve.cli.comparing.stopping import Stop
from twinserve.cli.comparing.watching import Watch
from twinserve.cli.load_tool import LoadTool
from twinserve.cli.options import platform_lines, say_model
from twinserve.cli.runner import prepared_runner
from twinserve.deployment import Deployment
from twinserve.load.equality import LEAST_PSNR_DB
from twinserve.load.sender import Sender
from twinserve.records.manifest import (
    Hardware,
    Manifest,
    ModelFacts,
    package_versions,
    this_hardware,
)
from twinserve.records.run import RunDirectory
from twinserve.runtime.capacity import host_capacity
from twinserve.runtime.platform import LocalPlatform
from twinserve.runtime.runner import RunnerChoice
from twinserve.workload import Workload

if TYPE_CHECKING:
    from twinserve.analysis.rates import Rates

ARITHMETIC = "TWINSERVE_ARITHMETIC"


@dataclass(frozen=True)
class LocalSides:
    """What is run here: two deployments of one model, and a third where there is a contrast."""

    sides: tuple[Deployment, Deployment]
    contrast: Deployment | None
    facts: BundleFacts
    runner: str  # as the option names it

    @property
    def names(self) -> tuple[str, str]:
        first, second = self.sides
        return first.name, second.name

    @property
    def series(self) -> list[Deployment]:
        return [*self.sides, *([self.contrast] if self.contrast else [])]

    @property
    def least_psnr_db(self) -> float | None:
        """How near images must be: equal, unless the sides compute in different arithmetic."""
        first, second = (each.environment.get(ARITHMETIC) for each in self.sides)
        return None if first == second else LEAST_PSNR_DB


def measure_locally(
    run: RunDirectory, workload: Workload, local: LocalSides, tool: LoadTool, stop: Stop | None
) -> None:
    """Load the sides and write everything down.

    Raises:
        TwinserveError: a side, the load generator or the disk gave out.
    """
    say_model(local.facts)
    runner = prepared_runner(local.runner, local.series)
    first = _platform(run, local.series, runner)
    manifest = manifest_of(first, local, workload)
    manifest.versions |= tool.versions
    manifest.until = stop.until if stop else None
    with Recorder(run, manifest, *([stop.listen] if stop else [])) as recorder:
        for repeat in range(workload.repeats):
            platform = _platform(run, local.series, runner) if repeat else first
            with platform:
                if not repeat:
                    click.echo("\n".join([*platform.notes, *platform_lines(platform)]), err=True)
                    say_load(workload, run, tool, stop, contrast=local.contrast is not None)
                recorder.begin()
                sender = Sender(recorder.clock)
                loading = Loading(recorder, tool, sender, local.least_psnr_db, stop)
                done = load_repeat(loading, platform.urls, repeat, Watch(platform))
            if done and stop:
                manifest.stopped = stop.reason
                break


def search_locally(run: RunDirectory, local: LocalSides, search: RateSearch) -> Rates:
    """Find the highest rate of both sides.

    Raises:
        TwinserveError: a side, the load generator or the disk gave out.
    """
    say_model(local.facts)
    platform = _platform(run, local.sides, prepared_runner(local.runner, local.sides))
    manifest = manifest_of(platform, replace(local, contrast=None), search.workload)
    manifest.find_rate = search.objective.described()
    with Recorder(run, manifest) as recorder, platform:
        click.echo("\n".join([*platform.notes, *platform_lines(platform), search.said]), err=True)
        recorder.begin()
        return search_rates(
            search,
            recorder,
            Sender(recorder.clock),
            platform.urls,
            local.least_psnr_db,
            Watch(platform),
        )


def manifest_of(platform: LocalPlatform, local: LocalSides, workload: Workload) -> Manifest:
    """What is known before the first request; environments by name only."""
    facts, ran = local.facts, platform.deployments
    return Manifest(
        started_epoch_ms=time.time() * 1000,
        versions=package_versions(),
        hardware=hardware_here(),
        runner=platform.runner.name,
        deployments={each.name: ran[each.name].without_values() for each in local.sides},
        contrast=ran[local.contrast.name].without_values() if local.contrast else None,
        cap=" ".join(platform_lines(platform)),
        model=ModelFacts(
            facts.name, facts.content_hash, facts.resolution, facts.terms, facts.commercial_use
        ),
        workload=workload,
    )


def hardware_here() -> Hardware:
    capacity = host_capacity()
    return this_hardware(capacity.cores, capacity.memory_mib)


def _platform(
    run: RunDirectory, series: Sequence[Deployment], runner: RunnerChoice
) -> LocalPlatform:
    return LocalPlatform(
        series,
        events=run.events,
        resources=run.resources,
        billing=run.billing,
        log=run.path / "instances.log",
        runner=runner,
    )
