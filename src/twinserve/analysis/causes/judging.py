"""All causes, judged by the evidence of a run: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twinserve.analysis.causes import (
    cold,
    drift,
    network,
    payload,
    queueing,
    settings,
    sharing,
    throttling,
)
from twinserve.analysis.causes.evidence import Evidence
from twinserve.analysis.causes.values import Cause, Causes, Finding

JUDGES: Sequence[Callable[[Evidence], list[Cause]]] = (
    settings.judge,
    queueing.judge,
    sharing.judge,
    cold.judge,
    throttling.judge,
    network.judge,
    payload.judge,
    drift.judge,
)
SAID_ELSEWHERE = ("settings", "serving stack", "threads against quota", "drift")
MOST_REASONS = 3
ORDER = {Finding.NAMED: 0, Finding.UNKNOWN: 1, Finding.ABSENT: 2}


def find_causes(evidence: Evidence, untold: str = "") -> Causes:
    """Every cause with its finding, the named ones first and of those the largest; ``untold`` says
    why there are no stages, where there are none."""
    found = [cause for judge in JUDGES for cause in judge(evidence)]
    return Causes(
        stages=evidence.stages,
        untold=untold,
        causes=sorted(found, key=lambda cause: (ORDER[cause.finding], -size_of(cause))),
    )


def cause_reasons(causes: Causes) -> list[str]:
    """What the verdict says of the why: the largest causes that were named. What the contrast and
    the throttled instances say stands among its reasons already."""
    named = [c for c in causes.found(Finding.NAMED) if c.name not in SAID_ELSEWHERE]
    return [f"Why, {cause.name}: {cause.sentence}" for cause in named[:MOST_REASONS]]


def size_of(cause: Cause) -> float:
    """How much it matters: its share of the difference or of a side's time, the larger one."""
    return max([abs(cause.of_difference or 0.0), *cause.shares.values()])
