"""From a run directory to its comparison."""

from __future__ import annotations

from collections.abc import Sequence

from twinserve.analysis import gates, scope, statistics, verdict
from twinserve.analysis.causes.gathering import gather
from twinserve.analysis.causes.judging import cause_reasons, find_causes
from twinserve.analysis.causes.values import Causes
from twinserve.analysis.comparison import Comparison, Contrast, Estimate, Gate, Verdict
from twinserve.analysis.contrast import contrast_reasons, contrasted
from twinserve.analysis.cost.monthly import Costs
from twinserve.analysis.logs import compare_logs
from twinserve.analysis.purpose import NO_PURPOSE, Purpose, priced_of
from twinserve.analysis.rows import SideRows, read_series
from twinserve.analysis.statistics import CONFIDENCE, EQUIVALENCE, Side
from twinserve.analysis.summary import (
    DECIDING,
    DECIDING_P,
    candidate,
    deciding_difference,
    differences,
    precision_of,
    side_summary,
)
from twinserve.analysis.throttling import throttled_instances
from twinserve.analysis.watched import read_watched
from twinserve.records.logs import is_logs
from twinserve.records.manifest import REMOTE, Manifest, read_manifest
from twinserve.records.resources import readings_if_any
from twinserve.records.run import RunDirectory

NO_COLD = (
    "Remote services do not tell which requests waited for an instance to start; a first request "
    "of each side and the warm-up are not compared."
)


def compare_run(
    run: RunDirectory, purpose: Purpose = NO_PURPOSE, costs: Costs | None = None
) -> Comparison:
    """Compare the two sides of a run, complete or cut off at any moment, or of two imported logs.

    Only requests of finished blocks count; failed ones are counted and left out of the times.
    ``costs`` are what the sides cost at several levels of traffic, that of the purpose among them.

    Raises:
        RecordError: the manifest or ``samples.csv`` is missing or damaged.
    """
    if is_logs(run.manifest):
        return compare_logs(run, purpose, costs)
    manifest = read_manifest(run.manifest)
    series = read_series(run, manifest)
    first, second, third = series
    checked = _checked(run, manifest, first, second)
    apart = _contrast(manifest, first, second, third)
    found = differences(first, second, confidence=_confidence(manifest))
    told = gather(run, manifest, series, apart, checked, _confidence(manifest))
    causes = find_causes(*told)
    return Comparison(
        sides=manifest.sides,
        deployments={
            side.name: side_summary(side, confidence=_confidence(manifest))
            for side in (first, second)
        },
        differences=found,
        gates=checked,
        contrast=apart,
        precision=precision_of(first, second, found),
        cost=costs,
        causes=causes,
        purpose=purpose.stated,
        verdict=_verdict(
            manifest,
            first,
            second,
            checked,
            _told(run, manifest, apart, causes),
            purpose,
            costs,
        ),
    )


def _checked(
    run: RunDirectory, manifest: Manifest, first: SideRows, second: SideRows
) -> list[Gate]:
    """The gates; what only a gateway of ours tells is unknown of remote services."""
    checked = gates.check(manifest, (first, second), read_watched(run, manifest))
    if manifest.runner != REMOTE:
        return checked
    return [gates.unknowing("cold", NO_COLD) if gate.name == "cold" else gate for gate in checked]


def _contrast(
    manifest: Manifest, first: SideRows, second: SideRows, third: SideRows | None
) -> Contrast | None:
    if third is None or manifest.contrast is None:
        return None
    kinds = {each.kind: name for name, each in manifest.deployments.items()}
    unequal = manifest.equality.contrast if manifest.equality else ""
    return contrasted(
        first, second, third, kinds[manifest.contrast.kind], unequal, _confidence(manifest)
    )


def _confidence(manifest: Manifest) -> float:
    """Of each single interval: higher where a run looked more than once before it ended."""
    return manifest.until.look_confidence if manifest.until else CONFIDENCE


def _told(
    run: RunDirectory, manifest: Manifest, apart: Contrast | None, causes: Causes
) -> list[str]:
    """Sentences about the run itself, the contrast's and the causes' first."""
    split = contrast_reasons(apart, manifest.deployments) if apart else []
    return [*split, *cause_reasons(causes), *scope.remarks(manifest), *_held_back(run)]


def _verdict(
    manifest: Manifest,
    first: SideRows,
    second: SideRows,
    checked: Sequence[Gate],
    remarks: Sequence[str],
    purpose: Purpose,
    costs: Costs | None,
) -> Verdict:
    a, b = first.values(DECIDING), second.values(DECIDING)
    confidence = _confidence(manifest)
    difference = deciding_difference(first, second, confidence=confidence)
    candidates = [candidate(side, confidence=confidence) for side in (first, second)]
    return verdict.decide(
        verdict.Evidence(
            first=candidates[0],
            second=candidates[1],
            difference=difference,
            objective=purpose.objective,
            priced=priced_of(candidates, costs),
            by_cost=purpose.by_cost,
            gates=checked,
            scope=scope.scope(manifest),
            local=scope.is_local(manifest),
            detectable_ms=statistics.detectable_difference(a, b, DECIDING_P)
            if difference and difference.low is not None
            else None,
            blocks_needed=_blocks_needed(difference, b) if difference else None,
            unit=first.unit,
            remarks=remarks,
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
