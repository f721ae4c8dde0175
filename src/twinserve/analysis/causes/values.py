"""What is found about the why of a comparison, as it stands in ``comparison.json``."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from twinserve.analysis.estimate import Estimate


class Finding(StrEnum):
    """``NAMED``: it made a difference, or takes a good part of a side's time. ``ABSENT``: it was
    looked for and is not there, or too small. ``UNKNOWN``: this run cannot tell."""

    NAMED = "named"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that may have made the difference, judged from what was measured.

    ``shares`` are those of each side's mean elapsed time. ``difference`` (second side minus first,
    in ms of the mean) is what it adds to the difference of the means, ``of_difference`` the share
    of that: below 0 where it works against the whole, None where the means differ by chance or by
    nothing.
    """

    name: str
    finding: Finding
    sentence: str
    shares: dict[str, float] = {}
    difference: Estimate | None = None
    of_difference: float | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a request's time: its mean in ms by series (sides, and the contrast if any)."""

    name: str
    title: str
    means: dict[str, float]
    difference: Estimate
    share: float | None  # of the difference of the means; None where that may be chance


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of answered requests goes: the means of ``stages`` add up to ``whole``'s."""

    stages: list[Stage]
    whole: Stage
    confidence: float


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What to change first, and what the simulation says of it: p95 of elapsed time in ms.

    ``measured_ms`` is what the run had, ``before_ms`` what the simulation makes of the deployment
    as it ran, ``after_ms`` of the changed one.
    """

    side: str
    change: str  # in words: "concurrency 8 instead of 80"
    measured_ms: float
    before_ms: float
    after_ms: float


class Causes(msgspec.Struct, frozen=True, kw_only=True):
    """Why the sides differ. ``stages`` is None where the run does not tell them; then ``untold``
    says why. ``advice`` is one sentence on what to change first, or why none is given."""

    stages: Stages | None
    untold: str = ""
    causes: list[Cause] = []
    change: Change | None = None
    advice: str = ""

    def found(self, finding: Finding) -> list[Cause]:
        return [cause for cause in self.causes if cause.finding is finding]
