"""From a run to what to change first: calibrates the simulation by it, then tries changes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from twinserve.analysis.causes.advice import Tried, advise
from twinserve.analysis.comparison import Comparison
from twinserve.analysis.simulation.breaking_even import failed_gates, is_worth_simulating
from twinserve.analysis.words import listed
from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.records.manifest import REMOTE, Manifest, read_manifest
from twinserve.records.run import RunDirectory
from twinserve.workload import ClosedLoop, Day, Trace, Workload

if TYPE_CHECKING:
    from twinserve.analysis.simulation.calibration import Calibrated
    from twinserve.analysis.simulation.model import Behaviour, Level

REQUESTS = 20_000  # of one simulation
SETTLED_S = 5.0  # of simulated time after the first start, not counted
WHOLE_LEVEL = 1000  # calibration's name for a level without an end
OFTEN = 0.10  # of a side's requests: what a level must have to be called seen
SEED = 1


def with_advice(run: RunDirectory, comparison: Comparison) -> Comparison:
    """The same comparison with what to change first, in its causes and among its reasons; imported
    logs have no causes and get none."""
    causes = comparison.causes
    if causes is None:
        return comparison
    manifest = read_manifest(run.manifest)
    tried, why = _tried(run, manifest, comparison)
    if why:
        change, said = None, f"No gain is predicted: {why}."
    else:
        change, said = advise(tried, {})
        said += _caution(comparison)
    verdict = comparison.verdict
    return msgspec.structs.replace(
        comparison,
        causes=msgspec.structs.replace(causes, change=change, advice=said),
        verdict=msgspec.structs.replace(
            verdict, reasons=_with_reason(verdict.reasons, f"What to change first: {said}")
        ),
    )


def _gates(comparison: Comparison) -> str:
    names = failed_gates(comparison)
    return f"{'gate' if len(names) == 1 else 'gates'} {listed(names)}"


def _caution(comparison: Comparison) -> str:
    if not failed_gates(comparison):
        return ""
    return f" The {_gates(comparison)} failed, so take it as a hint and measure again."


def _with_reason(reasons: list[str], said: str) -> list[str]:
    """Behind the causes, else at the end."""
    places = [place for place, reason in enumerate(reasons) if reason.startswith("Why, ")]
    place = places[-1] + 1 if places else len(reasons)
    return [*reasons[:place], said, *reasons[place:]]


def _tried(
    run: RunDirectory, manifest: Manifest, comparison: Comparison
) -> tuple[dict[str, Tried], str]:
    """Both sides ready to be tried out, or why none is."""
    if not is_worth_simulating(comparison):
        return {}, (
            f"the {_gates(comparison)} failed, and a simulation would repeat what is wrong with "
            f"the run"
        )
    if manifest.runner == REMOTE:
        return {}, "services elsewhere do not tell of their instances and starts"
    from twinserve.analysis.simulation.calibration import calibrated

    try:
        found = calibrated(run)
    except UsageError:
        return {}, (
            "a side has too few requests, or no start of an instance, to calibrate the simulation "
            "from"
        )
    sides = {}
    for name, each in found.items():
        summary = comparison.deployments[name].elapsed_ms
        if summary is None:
            return {}, f"the {name} answered no request"
        rate = comparison.deployments[name].throughput_rps
        sides[name] = _side(manifest, each, summary.p95, rate, _had_cold(comparison, name))
    return sides, ""


def _had_cold(comparison: Comparison, name: str) -> bool:
    """Whether measured requests waited for a start."""
    stages = comparison.causes.stages if comparison.causes else None
    return stages is not None and any(
        stage.name == "cold" and stage.means.get(name, 0.0) > 0 for stage in stages.stages
    )


def _side(
    manifest: Manifest,
    found: Calibrated,
    measured_ms: float,
    throughput_rps: float,
    had_cold: bool,
) -> Tried:
    from twinserve.analysis.simulation.model import Model
    from twinserve.analysis.simulation.run import simulate

    workload, behaviour = manifest.workload, found.behaviour
    seconds = _seconds(workload, throughput_rps)
    warmup_s = float(behaviour.starts_s.max()) + SETTLED_S

    def predict(deployment: Deployment) -> float:
        model = Model(deployment, behaviour)
        result = simulate(
            model, workload.arrivals, seconds, seed=SEED, warmup_s=warmup_s, batches=1
        )
        return 1000 * result.latency_quantile_s(0.95)

    least, most = seen_at_a_time(behaviour, workload)
    return Tried(
        deployment=found.deployment,
        predict=predict,
        measured_ms=measured_ms,
        least_at_a_time=least,
        most_at_a_time=most,
        had_cold=had_cold,
    )


def seen_at_a_time(behaviour: Behaviour, workload: Workload) -> tuple[int, int]:
    """The fewest and the most requests at a time on one instance that a run saw often enough.

    A level without an end reaches as far as the users of a closed loop; where there are none, it
    tells of nothing but itself.
    """
    levels = sorted(behaviour.levels, key=lambda level: level.most)
    rows = sum(level.work_s.size for level in levels)
    often = [level for level in levels if level.work_s.size >= OFTEN * rows] or levels
    least, most = (_end(level, levels, workload) for level in (often[0], often[-1]))
    return least, most


def _end(level: Level, levels: list[Level], workload: Workload) -> int:
    if level.most < WHOLE_LEVEL:
        return level.most
    before = [each.most for each in levels if each.most < WHOLE_LEVEL]
    return max([1, workload.users, *(2 * most for most in before)])


def _seconds(workload: Workload, throughput_rps: float) -> float:
    """So many that enough requests come; a day or a trace begins as it does in a block."""
    if isinstance(workload.arrivals, ClosedLoop) or workload.rate_rps is None:
        return REQUESTS / max(throughput_rps, 1e-3)
    if isinstance(workload.arrivals, Day | Trace):
        return workload.block_s
    return max(REQUESTS / workload.rate_rps, workload.block_s)
