"""Means, quantiles, their differences and ratios, with the blocks of a run as the sample.

A *side* is a list of blocks, a block a 1-D array of values. Intervals are two-sided, at
``CONFIDENCE`` unless told. How each side's errors come about: ``twinserve.analysis.estimators``.

Sources: Welch (1947) and Satterthwaite (1946); Zou & Donner, "Construction of confidence limits
about effect measures" (2008), known as MOVER, on the logarithm for ratios; Schuirmann (1987) for
equivalence, here with the whole interval instead of the 90 % one.

``make bench-statistics`` measures how often these intervals hold the true value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from scipy import special

from twinserve.analysis.comparison import Estimate, Summary
from twinserve.analysis.estimators import (
    Rows,
    around,
    around_log,
    from_logarithm,
    logarithm,
    mean_of,
    quantile_limits,
    quantile_of,
    t_point,
    welch_degrees,
    with_limits,
    without_limits,
)
from twinserve.analysis.estimators import Side as Side  # part of what is offered here

CONFIDENCE = 0.95
POWER = 0.95
EQUIVALENCE = 0.10  # of the second side's estimate
FEWEST_BLOCKS = 6
FEWEST_TAIL_ROWS = 50  # n * min(p, 1 - p)


class Finding(StrEnum):
    """What the interval of a difference says; ``FIRST`` and ``SECOND`` name the lower side."""

    EQUIVALENT = "equivalent"
    FIRST = "first"
    SECOND = "second"
    INCONCLUSIVE = "inconclusive"
    UNDETERMINED = "undetermined"


def summarise(side: Side) -> Summary | None:
    """One measure over all rows: ``std`` with n-1, percentiles of type 7; None without rows."""
    rows = Rows.of(side)
    if not rows.size:
        return None
    values = rows.ordered
    return Summary(
        count=values.size,
        mean=mean_of(rows).estimate,
        std=_deviation(values),
        min=float(values[0]),
        p50=rows.at(0.5),
        p90=rows.at(0.9),
        p95=rows.at(0.95),
        p99=rows.at(0.99),
        max=float(values[-1]),
    )


def mean_interval(side: Side, confidence: float = CONFIDENCE) -> Estimate:
    """The mean over all rows, a ratio of two block totals, with a t interval on the log scale.

    Needs one row at least. No limits with fewer than two blocks, or for a mean that is not above 0.
    """
    mean = mean_of(side)
    if not mean.has_log:
        return without_limits(mean.estimate)
    half = t_point(mean.degrees, confidence) * mean.error / mean.estimate
    return around_log(mean.estimate, half)


def quantile_interval(side: Side, p: float, confidence: float = CONFIDENCE) -> Estimate:
    """The type-7 quantile ``p`` over all rows, with Woodruff's interval.

    Needs one row at least. A limit whose rank lies outside the rows is None, and so are both with
    fewer than two blocks.
    """
    rows = Rows.of(side)
    if rows.degrees < 1:
        return without_limits(rows.at(p))
    return quantile_limits(rows, p, t_point(rows.degrees, confidence), confidence)


def difference_of_means(first: Side, second: Side, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of ``second`` minus mean of ``first``, by Welch's t on the blocks."""
    a, b = mean_of(first), mean_of(second)
    difference = b.estimate - a.estimate
    if not (a.is_known and b.is_known):
        return without_limits(difference)
    t = t_point(welch_degrees(a, b), confidence)
    return around(difference, t * math.hypot(a.error, b.error))


def ratio_of_means(first: Side, second: Side, confidence: float = CONFIDENCE) -> Estimate | None:
    """Mean of ``first`` over mean of ``second``, by Welch's t on the logarithm.

    None where the ratio does not exist: the second mean is 0, or it is beyond all numbers.
    """
    a, b = mean_of(first), mean_of(second)
    ratio = _ratio(a.estimate, b.estimate)
    if ratio is None or not (a.has_log and b.has_log):
        return None if ratio is None else without_limits(ratio)
    a, b = a.relative(), b.relative()
    t = t_point(welch_degrees(a, b), confidence)
    return around_log(ratio, t * math.hypot(a.error, b.error))


def difference_of_quantiles(
    first: Side, second: Side, p: float, confidence: float = CONFIDENCE
) -> Estimate:
    """Quantile ``p`` of ``second`` minus that of ``first``, with MOVER limits.

    No limits where one of the two sides' own intervals has a limit missing.
    """
    return mover(*_joint_limits(Rows.of(first), Rows.of(second), p, confidence))


def ratio_of_quantiles(
    first: Side, second: Side, p: float, confidence: float = CONFIDENCE
) -> Estimate | None:
    """Quantile ``p`` of ``first`` over that of ``second``, with MOVER limits on the logarithm.

    None where the ratio does not exist; no limits where a side has none above 0.
    """
    a, b = _joint_limits(Rows.of(first), Rows.of(second), p, confidence)
    ratio = _ratio(a.estimate, b.estimate)
    if ratio is None:
        return None
    if not (a.low and a.high and b.low and b.high):
        return without_limits(ratio)
    logs = mover(logarithm(b), logarithm(a))
    return from_logarithm(ratio, logs)


def mover(first: Estimate, second: Estimate) -> Estimate:
    """Second minus first with limits made of each one's own limits (Zou & Donner's MOVER)."""
    difference = second.estimate - first.estimate
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return without_limits(difference)
    below = math.hypot(second.estimate - second.low, first.high - first.estimate)
    above = math.hypot(second.high - second.estimate, first.estimate - first.low)
    return with_limits(difference, difference - below, difference + above)


def classify(difference: Estimate, second: float) -> Finding:
    """Name a difference (second minus first) by its interval; ``second``: that side's estimate."""
    if difference.low is None or difference.high is None:
        return Finding.UNDETERMINED
    allowed = EQUIVALENCE * abs(second)
    if -allowed <= difference.low and difference.high <= allowed:
        return Finding.EQUIVALENT
    if difference.low > 0:
        return Finding.FIRST
    if difference.high < 0:
        return Finding.SECOND
    return Finding.INCONCLUSIVE


def detectable_difference(
    first: Side, second: Side, p: float | None = None, power: float = POWER
) -> float | None:
    """The true difference of quantile ``p`` (None: of means) that runs like this one see.

    A difference of this size gets an interval without zero in a share ``power`` of such runs:
    (t for the confidence + t for the power) times the standard error of the difference. None where
    that error is unknown.
    """
    a, b = (mean_of(s) if p is None else quantile_of(s, p, CONFIDENCE) for s in (first, second))
    if not (a.is_known and b.is_known):
        return None
    degrees = welch_degrees(a, b)
    t = t_point(degrees, CONFIDENCE) + float(special.stdtrit(degrees, power))
    return t * math.hypot(a.error, b.error)


def blocks_needed(difference: Estimate, blocks: int, half_width: float) -> int | None:
    """How many blocks a side would bring an interval of ``blocks`` a side down to ``half_width``.

    Standard errors fall with the root of the number of blocks. None for an interval without limits.
    """
    if difference.low is None or difference.high is None or half_width <= 0:
        return None
    half = (difference.high - difference.low) / 2
    return max(blocks, math.ceil(blocks * (half / half_width) ** 2))


def widened(difference: Estimate, first: float, second: float, allowance: float) -> Estimate:
    """A difference between two occasions: either side may have shifted by a share ``allowance``.

    The larger of the two estimates is what such a shift moves most.
    """
    if difference.low is None or difference.high is None:
        return difference
    shift = allowance * max(abs(first), abs(second))
    return Estimate(difference.estimate, difference.low - shift, difference.high + shift)


def widened_ratio(ratio: Estimate, allowance: float) -> Estimate:
    """A ratio between two occasions, one of which may have shifted by a share ``allowance``."""
    if ratio.low is None or ratio.high is None:
        return ratio
    return Estimate(ratio.estimate, ratio.low / (1 + allowance), ratio.high * (1 + allowance))


def widened_by_shift(at: Callable[[float], Estimate | None], allowance: float) -> Estimate | None:
    """An interval of what depends on times in some other way: ``at(factor)`` computes it with the
    times of one side multiplied by ``factor``, which an allowance moves both ways."""
    found = at(1.0)
    if found is None or found.low is None or found.high is None or not allowance:
        return found
    moved = [at(factor) for factor in (1 + allowance, 1 / (1 + allowance))]
    lows = [each.low for each in moved if each and each.low is not None]
    highs = [each.high for each in moved if each and each.high is not None]
    if len(lows) < len(moved) or len(highs) < len(moved):
        return without_limits(found.estimate)
    return Estimate(found.estimate, min(found.low, *lows), max(found.high, *highs))


def why_no_mean(side: Side, fewest_blocks: int = FEWEST_BLOCKS) -> str | None:
    """The rule that leaves a mean undetermined, in words; None when there is none."""
    blocks = len(Rows.of(side))
    if blocks >= fewest_blocks:
        return None
    return f"{fewest_blocks} blocks with rows are needed, there are {blocks}"


def why_no_quantile(
    side: Side, p: float, fewest_blocks: int = FEWEST_BLOCKS, confidence: float = CONFIDENCE
) -> str | None:
    """The rule that leaves quantile ``p`` undetermined, in words; None when there is none."""
    too_few_blocks = why_no_mean(side, fewest_blocks)
    if too_few_blocks:
        return too_few_blocks
    rows = sum(block.size for block in side)
    needed = rows_needed(p)
    if rows < needed:
        return f"p{100 * p:g} needs {needed:,} rows, there are {rows:,}"
    interval = quantile_interval(side, p, confidence)
    if interval.low is None or interval.high is None:
        return (
            f"the blocks differ so much that a limit of p{100 * p:g} lies outside the {rows:,} rows"
        )
    return None


def rows_needed(p: float) -> int:
    """The fewest rows from which quantile ``p`` is told: 50 on its thinner side."""
    return math.ceil(round(FEWEST_TAIL_ROWS / min(p, 1 - p), 6))


def _joint_limits(
    first: Rows, second: Rows, p: float, confidence: float
) -> tuple[Estimate, Estimate]:
    """Both quantiles with limits at the t that their difference has, or with none at all."""
    a, b = quantile_of(first, p, confidence), quantile_of(second, p, confidence)
    if not (a.is_known and b.is_known):
        return without_limits(a.estimate), without_limits(b.estimate)
    t = t_point(welch_degrees(a, b), confidence)
    return quantile_limits(first, p, t, confidence), quantile_limits(second, p, t, confidence)


def _ratio(first: float, second: float) -> float | None:
    """None where it is no number."""
    ratio = first / second if second else math.inf
    return ratio if math.isfinite(ratio) else None


def _deviation(values: np.ndarray) -> float | None:
    """With n-1 below; None for a single value or beyond all numbers."""
    if values.size < 2:
        return None
    unit = float(np.abs(values).max()) or 1.0
    deviation = unit * float((values / unit).std(ddof=1))
    return deviation if math.isfinite(deviation) else None
