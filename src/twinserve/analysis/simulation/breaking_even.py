"""The sweep that a report shows: that of `twinserve simulate`, else a small one of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from twinserve.analysis.comparison import Comparison, GateStatus
from twinserve.analysis.cost.elsewhere import read_elsewhere
from twinserve.analysis.cost.pricing import read_book
from twinserve.analysis.purpose import Purpose, purpose_of
from twinserve.errors import RecordError, UsageError
from twinserve.records.run import RunDirectory

if TYPE_CHECKING:
    from twinserve.analysis.simulation.sweep import Sweep

FILE_NAME = "simulation.json"  # as `twinserve simulate` writes it
FATAL = {"equality", "load", "errors"}  # gates without which times say nothing of the sides
LOW_RPS, HIGH_RPS = 0.01, 10.0  # 26 thousand to 26 million requests a month, in about a second
MOST_INSTANCES = 100  # the platforms' default; what this machine carries says nothing of a cloud


def failed_gates(comparison: Comparison) -> list[str]:
    """Names of the gates that failed."""
    return [gate.name for gate in comparison.gates if gate.status is GateStatus.FAIL]


def is_worth_simulating(comparison: Comparison) -> bool:
    """Whether the times of a run are those of the two sides at all. Where another gate failed they
    may be off, and whoever shows what follows from them says so."""
    return comparison.causes is not None and not FATAL & set(failed_gates(comparison))


def break_even(run: RunDirectory, comparison: Comparison) -> Sweep | None:
    """Both sides over the rate, for the comparison's purpose. None where the run does not calibrate
    a simulation, none is installed, or a gate failed without which its times say nothing.

    Raises:
        RecordError: ``simulation.json`` or a calibration is damaged.
    """
    if not is_worth_simulating(comparison):
        return None
    try:
        from twinserve.analysis.simulation.sweep import Sweep
    except ModuleNotFoundError:
        return None
    path = run.path / FILE_NAME
    if not path.exists():
        return _swept(run, purpose_of(comparison.purpose))
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sweep)
    except msgspec.DecodeError as error:
        raise RecordError(
            f"{path} is damaged: {error}; remove it, or make it again with: twinserve simulate "
            f"{run.path}"
        ) from error


def _swept(run: RunDirectory, purpose: Purpose) -> Sweep | None:
    from twinserve.analysis.simulation.calibration import calibrated
    from twinserve.analysis.simulation.model import Model
    from twinserve.analysis.simulation.sweep import Objective, Question, sweep

    try:
        found = calibrated(run)
        models = {
            name: Model(replace(side.deployment, max_instances=MOST_INSTANCES), side.behaviour)
            for name, side in found.items()
        }
    except UsageError:
        return None
    book, wanted = read_book(), purpose.objective
    objective = Objective(0.95, wanted.p95_ms / 1000, wanted.error_share)
    question = Question(LOW_RPS, HIGH_RPS, (1,), objective)
    return sweep(models, book, read_elsewhere(run.path), question)
