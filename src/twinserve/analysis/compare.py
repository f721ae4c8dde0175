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
LOCAL_RUNNERS = ("process", "podman", "docker")


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
    a, b = _candidate(first), _candidate(second)
    evidence = verdict.Evidence(
        first=a,
        second=b,
        difference=None,
        gates=checked,
        scope=_scope(manifest),
        local=manifest.runner in LOCAL_RUNNERS,
        remarks=_remarks(manifest),
    )
    ...
