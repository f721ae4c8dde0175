"""Intervals for what a run measured, with its blocks as the sample.

A *side* is a list of blocks, a block a 1-D array of values; rows within a block may depend on each
other in any way, blocks are taken as independent. Intervals are two-sided, at ``CONFIDENCE`` unless
told.

Sources: Cochran, *Sampling Techniques* (1977), ratio estimators over clusters; Woodruff,
"Confidence intervals for medians and other position measures" (1952); Korn & Graubard, "Confidence
intervals for proportions with small expected number of positive counts" (1998); Welch (1947);
Zou & Donner, "Construction of confidence limits about effect measures" (2008), known as MOVER.

``benchmarks/statistics.py`` measures how often these intervals hold the true value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import special

from twinserve.analysis.comparison import Estimate, Summary

Values = NDArray[np.float64]
Side = Sequence[Values]

CONFIDENCE = 0.95
POWER = 0.95
EQUIVALENCE = 0.10  # of the second side's estimate
FEWEST_BLOCKS = 6
FEWEST_TAIL_ROWS = 50  # n * min(p, 1 - p)
LARGEST_SAMPLE = 1e7  # where a quantile's blocks agree better than any sample could


class Finding(StrEnum):
    """What the interval of a difference says; ``FIRST`` and ``SECOND`` name the lower side."""

    EQUIVALENT = "equivalent"
    FIRST = "first"
    SECOND = "second"
    INCONCLUSIVE = "inconclusive"


def summarise(side: Side) -> Summary | None:
    """One measure over all rows: ``std`` with n-1, percentiles of type 7; None without rows."""
    values = _pooled(side)
    if not values.size:
        return None
    p50, p90, p95, p99 = np.quantile(values, (0.5, 0.9, 0.95, 0.99)).tolist()
    return Summary(
        count=values.size,
        mean=float(values.mean()),
        std=float(values.std(ddof=1)) if values.size > 1 else None,
        min=float(values.min()),
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        max=float(values.max()),
    )


def mean_interval(side: Side, confidence: float = CONFIDENCE) -> Estimate:
    """The mean over all rows, a ratio of two block totals, with a t interval on the log scale.

    Needs one row at least. No limits with fewer than two blocks, or for a mean that is not above 0.
    """
    mean = _mean(side)
    if not mean.has_log:
        return _without_limits(mean.estimate)
    factor = math.exp(_t(mean.degrees, confidence) * mean.error / mean.estimate)
    return Estimate(mean.estimate, mean.estimate / factor, mean.estimate * factor)


def quantile_interval(side: Side, p: float, confidence: float = CONFIDENCE) -> Estimate:
    """The type-7 quantile ``p`` over all rows, with Woodruff's interval.

    Needs one row at least. A limit whose rank lies outside the rows is None, and so are both with
    fewer than two blocks.
    """
    degrees = len(_with_rows(side)) - 1
    if degrees < 1:
        return _without_limits(float(np.quantile(_pooled(side), p)))
    return _quantile_limits(side, p, _t(degrees, confidence), confidence)


def difference_of_means(first: Side, second: Side, confidence: float = CONFIDENCE) -> Estimate:
    """Mean of ``second`` minus mean of ``first``, by Welch's t on the blocks."""
    a, b = _mean(first), _mean(second)
    difference = b.estimate - a.estimate
    if min(a.degrees, b.degrees) < 1:
        return _without_limits(difference)
    half = _t(_welch_degrees(a, b), confidence) * math.hypot(a.error, b.error)
    return Estimate(difference, difference - half, difference + half)


def ratio_of_means(first: Side, second: Side, confidence: float = CONFIDENCE) -> Estimate | None:
    """Mean of ``first`` over mean of ``second``, by Welch's t on the logarithm.

    None where the ratio does not exist: the second mean is 0.
    """
    a, b = _mean(first), _mean(second)
    if not b.estimate:
        return None
    ratio = a.estimate / b.estimate
    if not (a.has_log and b.has_log):
        return _without_limits(ratio)
    a, b = a.relative(), b.relative()
    factor = math.exp(_t(_welch_degrees(a, b), confidence) * math.hypot(a.error, b.error))
    return Estimate(ratio, ratio / factor, ratio * factor)


def difference_of_quantiles(
    first: Side, second: Side, p: float, confidence: float = CONFIDENCE
) -> Estimate:
    """Quantile ``p`` of ``second`` minus that of ``first``, with MOVER limits.

    No limits where one of the two sides' own intervals has a limit missing.
    """
    a, b = _quantile(first, p, confidence), _quantile(second, p, confidence)
    difference = b.estimate - a.estimate
    if not (a.is_known and b.is_known):
        return _without_limits(difference)
    t = _t(_welch_degrees(a, b), confidence)
    a_limits = _quantile_limits(first, p, t, confidence)
    b_limits = _quantile_limits(second, p, t, confidence)
    return mover(a_limits, b_limits)


def mover(first: Estimate, second: Estimate) -> Estimate:
    """Second minus first with limits made of each one's own limits (Zou & Donner's MOVER)."""
    difference = second.estimate - first.estimate
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return _without_limits(difference)
    below = math.hypot(second.estimate - second.low, first.high - first.estimate)
    above = math.hypot(second.high - second.estimate, first.estimate - first.low)
    return Estimate(difference, difference - below, difference + above)


def classify(difference: Estimate, second: float) -> Finding:
    """Name a difference (second minus first) by its interval; ``second``: that side's estimate."""
    if difference.low is None or difference.high is None:
        return Finding.INCONCLUSIVE
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
    a, b = (_mean(s) if p is None else _quantile(s, p, CONFIDENCE) for s in (first, second))
    if not (a.is_known and b.is_known):
        return None
    degrees = _welch_degrees(a, b)
    t = _t(degrees, CONFIDENCE) + float(special.stdtrit(degrees, power))
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


def why_no_mean(side: Side, fewest_blocks: int = FEWEST_BLOCKS) -> str | None:
    """The rule that leaves a mean undetermined, in words; None when there is none."""
    blocks = len(_with_rows(side))
    if blocks >= fewest_blocks:
        return None
    return f"{fewest_blocks} blocks with rows are needed, there are {blocks}"


def why_no_quantile(side: Side, p: float, fewest_blocks: int = FEWEST_BLOCKS) -> str | None:
    """The rule that leaves quantile ``p`` undetermined, in words; None when there is none."""
    too_few_blocks = why_no_mean(side, fewest_blocks)
    if too_few_blocks:
        return too_few_blocks
    rows = sum(block.size for block in side)
    needed = rows_needed(p)
    if rows < needed:
        return f"p{100 * p:g} needs {needed:,} rows, there are {rows:,}"
    interval = quantile_interval(side, p)
    if interval.low is None or interval.high is None:
        return (
            f"the blocks differ so much that a limit of p{100 * p:g} lies outside the {rows:,} rows"
        )
    return None


def rows_needed(p: float) -> int:
    """The fewest rows from which quantile ``p`` is told: 50 on its thinner side."""
    return math.ceil(round(FEWEST_TAIL_ROWS / min(p, 1 - p), 6))


@dataclass(frozen=True)
class _Estimator:
    """An estimate with its standard error; ``degrees`` of freedom below 1 mean an unknown error."""

    estimate: float
    error: float
    degrees: int

    @property
    def is_known(self) -> bool:
        return self.degrees >= 1

    @property
    def has_log(self) -> bool:
        return self.is_known and self.estimate > 0

    def relative(self) -> _Estimator:
        """The logarithm's standard error (delta method)."""
        return _Estimator(math.log(self.estimate), self.error / self.estimate, self.degrees)


def _mean(side: Side) -> _Estimator:
    """The cluster ratio estimator: se^2 = k/(k-1) * sum(((m_i/n) * (mean_i - mean))^2)."""
    blocks = _with_rows(side)
    sizes = np.array([block.size for block in blocks], dtype=float)
    totals = np.array([block.sum() for block in blocks])
    mean = float(totals.sum() / sizes.sum())
    k = len(blocks)
    if k < 2:
        return _Estimator(mean, math.nan, k - 1)
    residuals = (totals - mean * sizes) / sizes.sum()
    return _Estimator(mean, math.sqrt(k / (k - 1) * float(residuals @ residuals)), k - 1)


def _quantile(side: Side, p: float, confidence: float) -> _Estimator:
    """A quantile's standard error read back from its interval: (high - low) / 2t."""
    limits = quantile_interval(side, p, confidence)
    if limits.low is None or limits.high is None:
        return _Estimator(limits.estimate, math.nan, 0)
    degrees = len(_with_rows(side)) - 1
    error = (limits.high - limits.low) / (2 * _t(degrees, confidence))
    return _Estimator(limits.estimate, error, degrees)


def _quantile_limits(side: Side, p: float, t: float, confidence: float) -> Estimate:
    """Woodruff: the limits of the share of rows at or below the quantile, read off as quantiles."""
    values = _pooled(side)
    quantile = float(np.quantile(values, p))
    low_p, high_p = _share_limits(side, quantile, p, t, confidence)
    low, high = np.quantile(values, (low_p, high_p)).tolist()
    edge = 1 / values.size
    return Estimate(quantile, None if low_p < edge else low, None if high_p > 1 - edge else high)


def _share_limits(
    side: Side, quantile: float, p: float, t: float, confidence: float
) -> tuple[float, float]:
    """Korn & Graubard: Clopper-Pearson limits at the sample size that the blocks are worth."""
    blocks = _with_rows(side)
    sizes = np.array([block.size for block in blocks], dtype=float)
    counts = np.array([np.count_nonzero(block <= quantile) for block in blocks], dtype=float)
    k = len(blocks)
    residuals = (counts - p * sizes) / sizes.sum()
    variance = k / (k - 1) * float(residuals @ residuals)
    z = float(special.ndtri((1 + confidence) / 2))
    worth = p * (1 - p) * (z / t) ** 2
    n = worth / variance if variance > worth / LARGEST_SAMPLE else LARGEST_SAMPLE
    x, tail = p * n, (1 - confidence) / 2
    low = special.betaincinv(x, n - x + 1, tail)
    high = special.betaincinv(x + 1, n - x, 1 - tail)
    return float(low), float(high)


def _welch_degrees(a: _Estimator, b: _Estimator) -> float:
    """Welch-Satterthwaite; the sum of both where neither side varies at all."""
    largest = max(a.error, b.error)
    if not largest:
        return a.degrees + b.degrees
    u, v = (a.error / largest) ** 2, (b.error / largest) ** 2
    return (u + v) ** 2 / (u**2 / a.degrees + v**2 / b.degrees)


def _t(degrees: float, confidence: float) -> float:
    return float(special.stdtrit(degrees, (1 + confidence) / 2))


def _pooled(side: Side) -> Values:
    return np.concatenate([*side, np.empty(0)])


def _with_rows(side: Side) -> list[Values]:
    """Blocks that say something: a block of failed requests only adds a degree of freedom."""
    return [block for block in side if block.size]


def _without_limits(estimate: float) -> Estimate:
    return Estimate(estimate, None, None)
