"""From a run directory to its comparison."""

from __future__ import annotations

from collections.abc import Sequence

from twinserve.analysis import gates, statistics, verdict
from twinserve.analysis.comparison import (
    MEASURES,
    Comparison,
    Difference,
    Estimate,
    Gate,
    SideSummary,
    Verdict,
)
from twinserve.analysis.rows import SideRows, read_sides
from twinserve.analysis.statistics import CONFIDENCE, EQUIVALENCE, Side
from twinserve.analysis.words import count
from twinserve.records.manifest import Manifest, RunState, read_manifest
from twinserve.records.run import RunDirectory

DECIDING = "elapsed_ms"
DECIDING_P = 0.95
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
    """Compare the two sides of a run, complete or cut off at any moment.

    Only requests of finished blocks count; failed ones are counted and left out of the times.

    Raises:
        RecordError: the manifest or ``samples.csv`` is missing or damaged.
    """
    manifest = read_manifest(run.manifest)
    first, second = read_sides(run, manifest)
    checked = gates.check(manifest, (first, second))
    return Comparison(
        sides=manifest.sides,
        deployments={side.name: _side_summary(side) for side in (first, second)},
        differences=_differences(first, second),
        gates=checked,
        verdict=_verdict(manifest, first, second, checked),
    )


def _side_summary(side: SideRows) -> SideSummary:
    measures = {name: statistics.summarise(side.values(name)) for name in MEASURES}
    return SideSummary(
        requests=side.requests,
        errors=side.errors,
        cold_starts=side.instance_starts,
        throughput_rps=side.throughput_rps,
        **measures,
    )


def _differences(first: SideRows, second: SideRows) -> dict[str, Difference]:
    """A difference for every measure that both sides have."""
    pairs = {name: (first.values(name), second.values(name)) for name in MEASURES}
    return {name: _difference(a, b) for name, (a, b) in pairs.items() if _has(a) and _has(b)}


def _difference(first: Side, second: Side) -> Difference:
    """Differences by METHOD; what its design rules leave undetermined keeps its estimate only."""
    mean = statistics.difference_of_means(first, second)
    ratio = statistics.ratio_of_means(first, second)
    if statistics.why_no_mean(first) or statistics.why_no_mean(second):
        mean = _estimate_only(mean)
        ratio = ratio and _estimate_only(ratio)
    return Difference(
        mean=mean,
        p50=_quantile_difference(first, second, 0.5),
        p95=_quantile_difference(first, second, 0.95),
        ratio_of_means=ratio,
        confidence=CONFIDENCE,
    )


def _quantile_difference(first: Side, second: Side, p: float) -> Estimate:
    difference = statistics.difference_of_quantiles(first, second, p)
    if statistics.why_no_quantile(first, p) or statistics.why_no_quantile(second, p):
        return _estimate_only(difference)
    return difference


def _verdict(
    manifest: Manifest, first: SideRows, second: SideRows, checked: Sequence[Gate]
) -> Verdict:
    a, b = first.values(DECIDING), second.values(DECIDING)
    known = _has(a) and _has(b)
    difference = _quantile_difference(a, b, DECIDING_P) if known else None
    return verdict.decide(
        verdict.Evidence(
            first=_candidate(first),
            second=_candidate(second),
            difference=difference,
            gates=checked,
            scope=_scope(manifest),
            local=manifest.runner in LOCAL_RUNNERS,
            detectable_ms=statistics.detectable_difference(a, b, DECIDING_P)
            if difference and difference.low is not None
            else None,
            blocks_needed=_blocks_needed(difference, b) if difference else None,
            remarks=_remarks(manifest),
        )
    )


def _candidate(side: SideRows) -> verdict.Candidate:
    values = side.values(DECIDING)
    p95 = statistics.quantile_interval(values, DECIDING_P) if _has(values) else None
    why = statistics.why_no_quantile(values, DECIDING_P) if p95 else None
    if p95 and why:
        p95 = _estimate_only(p95)
    return verdict.Candidate(side.name, side.requests, side.errors, p95, why)


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


def _has(side: Side) -> bool:
    return any(block.size for block in side)


def _estimate_only(estimate: Estimate) -> Estimate:
    return Estimate(estimate.estimate, None, None)
