"""``comparison.json``: what a run says, as typed values (contract: docs/architecture.md)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from twinserve.analysis.causes.values import Causes
from twinserve.analysis.cost.monthly import Costs
from twinserve.analysis.estimate import Estimate as Estimate  # part of what is offered here
from twinserve.errors import RecordError
from twinserve.records.lines import replace_file

SCHEMA_VERSION = 1
MEASURES = (
    "elapsed_ms",
    "latency_ms",
    "connect_ms",
    "process_ms",
    "cpu_percent",
    "memory_mib",
)
# What a verdict chooses where it does not choose a side.
EITHER = "either"
NEITHER = "neither"
UNDETERMINED = "undetermined"


class GateStatus(StrEnum):
    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


class Strength(StrEnum):
    FIRM = "firm"
    PROVISIONAL = "provisional"


class Summary(msgspec.Struct, frozen=True):
    """One measure of one side; ``std`` has n-1 below, percentiles are type 7 (linear).

    ``intervals`` holds those of ``mean``, ``p50``, ``p90``, ``p95`` and ``p99`` that can be told.
    """

    count: int
    mean: float
    std: float | None  # None below two values
    min: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    intervals: dict[str, Estimate] = {}


class Difference(msgspec.Struct, frozen=True):
    """Second side minus first; ``ratio_of_means`` and ``ratios`` are first over second.

    ``findings`` name the differences of ``mean``, ``p50`` and ``p95``: ``equivalent`` (the whole
    interval within 10 % of the second side's), ``first`` or ``second`` (that side is lower),
    ``inconclusive``, or ``undetermined`` (no interval). ``effect_size`` is the difference of means
    over the standard deviation of single rows (Hedges' total-variance effect size);
    ``superiority`` the share of pairs of rows in which the second side's is the lower one.
    """

    mean: Estimate
    p50: Estimate
    p95: Estimate
    ratio_of_means: Estimate | None  # None where the second mean is 0
    confidence: float
    p90: Estimate | None = None
    p99: Estimate | None = None
    ratios: dict[str, Estimate] = {}  # p50, p90, p95, p99; without those whose second value is 0
    findings: dict[str, str] = {}
    effect_size: Estimate | None = None  # None where neither side varies
    superiority: Estimate | None = None


class Apdex(msgspec.Struct, frozen=True):
    """(satisfied + tolerating / 2) / all requests, as JMeter counts: a failed one is frustrated."""

    score: Estimate
    satisfied_ms: float
    tolerated_ms: float


class Goodput(msgspec.Struct, frozen=True):
    """What was answered within ``limit_ms``: answers a second, and the share of all requests."""

    rps: Estimate
    share: Estimate
    limit_ms: float


class SideSummary(msgspec.Struct, frozen=True):
    """One side over its finished blocks: warm-up and equality requests are not in it."""

    requests: int  # errors included
    errors: int  # counted, and left out of the times
    cold_starts: int | None  # instance starts in the whole run, warm-up included; None: not told
    throughput_rps: float  # answered requests
    elapsed_ms: Summary | None
    latency_ms: Summary | None
    connect_ms: Summary | None
    process_ms: Summary | None
    cpu_percent: Summary | None
    memory_mib: Summary | None
    apdex: Apdex | None = None  # None without a request
    goodput: Goodput | None = None


class Precision(msgspec.Struct, frozen=True):
    """How well a difference of elapsed time is known; sizes are shares of the second side's value.

    ``detectable`` is the difference that 95 % of such runs tell from none. ``blocks_for`` says, for
    half a width in percent, how many blocks a side bring the interval down to it.
    """

    blocks: int  # a side that this run has; repeats, where a run has more than one
    half_width: float | None
    detectable: float | None
    blocks_for: dict[str, int] = {}


class Gate(msgspec.Struct, frozen=True):
    """A check that must pass before the comparison may be believed."""

    name: str
    status: GateStatus
    detail: str


class Verdict(msgspec.Struct, frozen=True):
    """``choice`` is a side's name, ``either``, ``neither`` or ``undetermined``."""

    choice: str
    strength: Strength
    rule: str
    scope: str
    reasons: list[str]
    sentence: str


class Split(msgspec.Struct, frozen=True):
    """One difference, second side minus first, taken apart: ``settings`` and ``serving_stack`` add
    up to ``whole``."""

    whole: Estimate
    settings: Estimate
    serving_stack: Estimate


class Contrast(msgspec.Struct, frozen=True):
    """The matched contrast: the serving stack of ``stack_of`` with the settings of
    ``settings_of``, which are the two sides' names.

    ``splits`` holds mean, p50 and p95 of elapsed time in ms; where they are missing ``why`` says
    why.
    """

    name: str
    stack_of: str
    settings_of: str
    summary: SideSummary
    splits: dict[str, Split]
    confidence: float
    why: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """What the verdict is for, as the user stated it (:mod:`twinserve.analysis.purpose`)."""

    p95_ms: float
    error_share: float
    requests_per_month: float | None
    goal: str | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the report shows; older files have neither ``cost`` nor ``causes``."""

    schema_version: int = SCHEMA_VERSION
    sides: tuple[str, str]
    allowance: float | None = None  # by which the intervals of two logs are widened
    deployments: dict[str, SideSummary]
    differences: dict[str, Difference]
    gates: list[Gate]
    cost: Costs | None = None
    causes: Causes | None = None
    purpose: Wanted | None = None
    contrast: Contrast | None = None
    precision: dict[str, Precision] = {}  # of mean, p50 and p95 of elapsed time
    verdict: Verdict


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write a ``comparison.json``; a reader finds the old one or the new one."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(comparison), indent=2) + b"\n")


def read_comparison(path: Path) -> Comparison:
    """Read a ``comparison.json``.

    Raises:
        RecordError: it is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Comparison)
    except FileNotFoundError:
        raise RecordError(
            f"{path} is missing; make it with: twinserve report {path.parent}"
        ) from None
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is damaged: {error}.") from error
