"""Thresholds of a CI job: ``function.p95>800ms``, ``errors>0``, ``verdict=undetermined``: pure.

::

    threshold = [side "."] measure op value [unit]
    measure   = [time "."] stat | ("cpu" | "memory") ["." stat]
              | "errors" | "throughput" | "cold_starts" | "requests" | "apdex" | "goodput"
              | "verdict" | "gates"
    time      = "elapsed" | "latency" | "connect" | "process"            elapsed unless told
    stat      = "p50" | "p90" | "p95" | "p99" | "mean" | "std" | "min" | "max"
    op        = ">" | ">=" | "<" | "<=" | "=" | "!="

A threshold says what must not be: it is crossed where it holds. One without a side is crossed where
it holds for either side.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from twinserve.analysis.comparison import (
    EITHER,
    NEITHER,
    UNDETERMINED,
    Comparison,
    GateStatus,
    SideSummary,
    Summary,
)
from twinserve.analysis.words import listed
from twinserve.errors import UsageError

STATS = ("p50", "p90", "p95", "p99", "mean", "std", "min", "max")
TIMES = ("elapsed", "latency", "connect", "process")
USAGES = ("cpu", "memory")
DEFAULT_STATS = {"cpu": "mean", "memory": "max"}
COUNTS = ("errors", "throughput", "cold_starts", "requests", "apdex", "goodput")
WORDS = ("verdict", "gates")
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
# How many of comparison.json's units one of these is.
UNITS: Mapping[str, Mapping[str, float]] = {
    "time": {"ms": 1, "s": 1000, "us": 0.001},
    "cpu": {"%": 1},
    "memory": {"MiB": 1, "GiB": 1024},
    "errors": {"": 1, "%": 1},
    "throughput": {"/s": 1, "rps": 1},
    "cold_starts": {"": 1},
    "requests": {"": 1},
    "apdex": {"": 1},
    "goodput": {"/s": 1, "rps": 1, "%": 0.01},  # of all requests, within the objective's limit
}
SHAPE = re.compile(r"\s*([^<>=!]+?)\s*(>=|<=|!=|==|>|<|=)\s*(\S.*?)\s*")
NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(\S*)")
EXAMPLES = '"function.p95>800ms", "errors>1%", "verdict=undetermined"'


@dataclass(frozen=True)
class Threshold:
    """What must not be. ``measure`` is a key of :data:`UNITS` or one of :data:`WORDS`; ``name`` and
    ``stat`` say which of comparison.json's values it looks at, ``limit`` in ``unit`` or a word."""

    text: str
    side: str | None
    measure: str
    name: str
    stat: str
    sign: str
    limit: float = 0.0
    unit: str = ""
    word: str = ""

    @property
    def is_word(self) -> bool:
        return self.measure in WORDS


class Finding(StrEnum):
    KEPT = "kept"
    CROSSED = "crossed"
    UNTOLD = "untold"  # it could not be computed, which fails like a crossed one


@dataclass(frozen=True)
class Judged:
    """A threshold and what was found, in a sentence."""

    threshold: Threshold
    finding: Finding
    sentence: str

    @property
    def fails(self) -> bool:
        return self.finding is not Finding.KEPT


def parse_threshold(text: str) -> Threshold:
    """Read a threshold; whether its side exists, :func:`check_sides` says.

    Raises:
        UsageError: it cannot be read, or names an unknown measure, unit or word.
    """
    found = SHAPE.fullmatch(text)
    if not found:
        raise UsageError(
            f"--fail-if is {text!r}; write [side.]measure, one of {' '.join(OPERATORS)}, and a "
            f"value with its unit: {EXAMPLES}."
        )
    subject, sign, value = found.groups()
    side, measure, name, stat = _subject(text, subject)
    if measure in WORDS:
        return _worded(text, side, measure, sign, value)
    limit, unit = _limit(text, measure, value)
    return Threshold(text, side, measure, name, stat, sign, limit, unit)


def check_sides(thresholds: Sequence[Threshold], sides: Sequence[str]) -> None:
    """Returns where every side that is named exists.

    Raises:
        UsageError: a threshold names another one.
    """
    for threshold in thresholds:
        if threshold.side is not None and threshold.side not in sides:
            raise UsageError(
                f"--fail-if is {threshold.text!r}, but there is no side {threshold.side!r}; the "
                f"sides are {listed(sides)}."
            )
        choices = [*sides, EITHER, NEITHER, UNDETERMINED]
        if threshold.measure == "verdict" and threshold.word not in choices:
            raise UsageError(
                f"--fail-if is {threshold.text!r}; a verdict can be {listed(choices, 'or')}."
            )


def judge(thresholds: Sequence[Threshold], comparison: Comparison) -> list[Judged]:
    """What a comparison says to each threshold.

    Raises:
        UsageError: a threshold names a side that the comparison does not have.
    """
    check_sides(thresholds, list(comparison.deployments))
    return [_judge(threshold, comparison) for threshold in thresholds]


def _subject(text: str, subject: str) -> tuple[str | None, str, str, str]:
    """Side, kind of measure, name and stat; a side's own name may have dots."""
    parts = subject.split(".")
    for length in (2, 1):
        if len(parts) >= length and (known := _measure(parts[-length:])):
            side = ".".join(parts[:-length]) or None
            if side is not None and known[0] in WORDS:
                raise UsageError(
                    f"--fail-if is {text!r}; {known[0]} is of the whole run: write "
                    f"{text.partition('.')[2]!r}."
                )
            return side, *known
    other_times = listed([f"{name}.p95" for name in TIMES[1:]], "or")
    raise UsageError(
        f"--fail-if is {text!r}, but {subject!r} ends in no measure; there are "
        f"{', '.join(STATS)} of elapsed (or {other_times}), {', '.join((*USAGES, *COUNTS))}, "
        f"{' and '.join(WORDS)}."
    )


def _measure(parts: Sequence[str]) -> tuple[str, str, str] | None:
    """Kind, name and stat, as ``latency.p95``, ``p95``, ``memory`` or ``errors`` name them."""
    *before, last = parts
    first = before[0] if before else None
    if first in (*TIMES, *USAGES) and last in STATS:
        return ("time" if first in TIMES else str(first)), str(first), last
    if before:
        return None
    if last in STATS:
        return "time", TIMES[0], last
    if last in USAGES:
        return last, last, DEFAULT_STATS[last]
    return (last, last, "") if last in (*COUNTS, *WORDS) else None


def _limit(text: str, measure: str, value: str) -> tuple[float, str]:
    """The limit in comparison.json's unit, and the unit as it was written."""
    found = NUMBER.fullmatch(value)
    units = UNITS[measure]
    if not found or found[2] not in units:
        allowed = listed([f"{'100' if unit else 'a plain number'}{unit}" for unit in units], "or")
        raise UsageError(f"--fail-if is {text!r}, but {value!r} is no such value; write {allowed}.")
    return float(found[1]) * units[found[2]], found[2]


def _worded(text: str, side: str | None, measure: str, sign: str, value: str) -> Threshold:
    if sign not in ("=", "==", "!="):
        raise UsageError(f"--fail-if is {text!r}; {measure} can only be compared by = and !=.")
    statuses = [status.value for status in GateStatus]
    if measure == "gates" and value not in statuses:
        raise UsageError(f"--fail-if is {text!r}; gates can be {listed(statuses, 'or')}.")
    return Threshold(text, side, measure, measure, "", sign, word=value)


def _judge(threshold: Threshold, comparison: Comparison) -> Judged:
    if threshold.is_word:
        return _judge_words(threshold, comparison)
    sides = [threshold.side] if threshold.side else list(comparison.sides)
    values = {side: _value(threshold, comparison.deployments[side]) for side in sides}
    untold = [side for side, value in values.items() if value is None]
    told = {side: value for side, value in values.items() if value is not None}
    crossing = [side for side, value in told.items() if _holds(threshold, value)]
    shown = listed([f"{side} {_shown(threshold, value)}" for side, value in told.items()])
    if crossing:
        return Judged(threshold, Finding.CROSSED, f"{_named(threshold)}: {shown}.")
    if untold:
        known = f" ({shown})" if shown else ""
        return Judged(
            threshold,
            Finding.UNTOLD,
            f"{_named(threshold)} could not be computed for {listed(untold)}{known}: whether the "
            f"threshold is kept is not known, and that fails.",
        )
    return Judged(threshold, Finding.KEPT, f"{_named(threshold)}: {shown}.")


def _judge_words(threshold: Threshold, comparison: Comparison) -> Judged:
    if threshold.measure == "verdict":
        found = [comparison.verdict.choice]
        said = f"The verdict is {comparison.verdict.choice}."
    else:
        found = [gate.status.value for gate in comparison.gates]
        said = f"Gates: {', '.join(f'{gate.name} {gate.status}' for gate in comparison.gates)}."
    crossed = any((word != threshold.word) == (threshold.sign == "!=") for word in found)
    return Judged(threshold, Finding.CROSSED if crossed else Finding.KEPT, said)


def _holds(threshold: Threshold, value: float) -> bool:
    return OPERATORS[threshold.sign](value, threshold.limit)


def _value(threshold: Threshold, side: SideSummary) -> float | None:
    """The value in comparison.json's unit; None where it could not be computed."""
    match threshold.measure:
        case "errors" if threshold.unit == "%":
            return 100 * side.errors / side.requests if side.requests else None
        case "errors":
            return side.errors
        case "throughput":
            return side.throughput_rps if side.requests else None
        case "cold_starts":
            return side.cold_starts
        case "requests":
            return side.requests
        case "apdex":
            return side.apdex.score.estimate if side.apdex else None
        case "goodput" if side.goodput:
            found = side.goodput.share if threshold.unit == "%" else side.goodput.rps
            return found.estimate
        case "goodput":
            return None
        case "cpu":
            return _stat(side.cpu_percent, threshold.stat)
        case "memory":
            return _stat(side.memory_mib, threshold.stat)
        case _:
            return _stat(getattr(side, f"{threshold.name}_ms"), threshold.stat)


def _stat(summary: Summary | None, stat: str) -> float | None:
    found: float | None = getattr(summary, stat) if summary else None
    return found


def _named(threshold: Threshold) -> str:
    """``p95 of elapsed time``, ``Errors``."""
    if threshold.measure in ("time", *USAGES):
        what = {"time": f"{threshold.name} time", "cpu": "CPU"}.get(threshold.measure, "memory")
        return f"{threshold.stat} of {what}"
    return threshold.measure.replace("_", " ").capitalize()


def _shown(threshold: Threshold, value: float) -> str:
    """The value in the unit of its threshold."""
    size = value / UNITS[threshold.measure][threshold.unit]
    number = f"{size:,.0f}" if size == round(size) or abs(size) >= 1000 else f"{size:,.3g}"
    space = " " if threshold.unit not in ("", "/s") else ""
    return f"{number}{space}{threshold.unit}"
