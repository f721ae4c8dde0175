"""From a run directory to its comparison."""

from __future__ import annotations

from collections.abc import Sequence

from twinserve.analysis import gates, statistics, verdict
from twinserve.analysis.comparison import Comparison, Estimate, Gate, Verdict
from twinserve.analysis.logs import compare_logs
from twinserve.analysis.rows import SideRows, read_sides
from twinserve.analysis.statistics import EQUIVALENCE, Side
from twinserve.analysis.summary import (
    DECIDING,
    DECIDING_P,
    candidate,
    deciding_difference,
    differences,
    side_summary,
)
from twinserve.analysis.throttling import throttled_instances
from twinserve.analysis.words import count
from twinserve.records.logs import is_logs
from twinserve.records.manifest import Manifest, RunState, read_manifest
from twinserve.records.resources import readings_if_any
from twinserve.records.run import RunDirectory

LOCAL_RUNNERS = {
    "process": "as plain processes",
    "podman": "in Podman containers",
    "docker": "in Docker containers",
}
ENDED = {
    RunState.RUNNING: "was cut off",
    RunState.INTERRUPTED: "was interrupted",
    RunState.FAILED: "failed",
}


def compare_run(run: RunDirectory) -> Comparison:
    """Compare the two sides of a run, complete or cut off at any moment, or of two imported logs.

    Only requests of finished blocks count; failed ones are counted and left out of the times.

    Raises:
        RecordError: the manifest or ``samples.csv`` is missing or damaged.
    """
    if is_logs(run.manifest):
        return compare_logs(run)
    manifest = read_manifest(run.manifest)
    first, second = read_sides(run, manifest)
    checked = gates.check(manifest, (first, second))
    return Comparison(
        sides=manifest.sides,
        deployments={side.name: side_summary(side) for side in (first, second)},
        differences=differences(first, second),
        gates=checked,
        verdict=_verdict(manifest, first, second, checked, _held_back(run)),
    )


def _verdict(
    manifest: Manifest,
    first: SideRows,
    second: SideRows,
    checked: Sequence[Gate],
    held_back: Sequence[str],
) -> Verdict:
    a, b = first.values(DECIDING), second.values(DECIDING)
    difference = deciding_difference(first, second)
    return verdict.decide(
        verdict.Evidence(
            first=candidate(first),
            second=candidate(second),
            difference=difference,
            gates=checked,
            scope=_scope(manifest),
            local=manifest.runner in LOCAL_RUNNERS,
            detectable_ms=statistics.detectable_difference(a, b, DECIDING_P)
            if difference and difference.low is not None
            else None,
            blocks_needed=_blocks_needed(difference, b) if difference else None,
            remarks=[*_remarks(manifest), *held_back],
        )
    )


def _held_back(run: RunDirectory) -> list[str]:
    """A sentence for each instance that its CPU quota throttled."""
    return [found.sentence for found in throttled_instances(readings_if_any(run.resources))]


def _blocks_needed(difference: Estimate, second: Side) -> int | None:
    """Blocks a side that would settle it at this estimate: clear of zero, or inside the +-10 %."""
    size = abs(difference.estimate)
    allowed = EQUIVALENCE * statistics.quantile_interval(second, DECIDING_P).estimate
    return statistics.blocks_needed(difference, len(second), max(size, allowed - size))


def _scope(manifest: Manifest) -> str:
    workload, hardware, model = manifest.workload, manifest.hardware, manifest.model
    runner = LOCAL_RUNNERS.get(manifest.runner, f"by {manifest.runner}")
    think = f" with {workload.think_s:g} s of think time" if workload.think_s else ""
    return (
        f"Valid for {model.name} ({model.resolution}x{model.resolution}), "
        f"{count(workload.users, 'user')} in a closed loop{think}, "
        f"{count(workload.images, 'image')} a request, this machine ({hardware.cpu_model}, "
        f"{count(hardware.cores, 'core')}, {hardware.memory_mib:,} MiB, {hardware.system}) and "
        f"instances run {runner}. Not a figure for any cloud."
    )


def _remarks(manifest: Manifest) -> list[str]:
    """What a reader must know about a run that did not end as planned."""
    if manifest.state is RunState.COMPLETE:
        return []
    why = f" ({manifest.detail})" if manifest.detail else ""
    finished = f"{len(manifest.blocks)} of {2 * manifest.workload.blocks} blocks were finished"
    return [f"The run {ENDED[manifest.state]}{why}: {finished}."]
