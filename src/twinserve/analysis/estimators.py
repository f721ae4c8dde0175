"""What one side's rows say, with standard errors that come from its blocks.

A *side* is a list of blocks, a block a 1-D array of values; rows within a block may depend on each
other in any way, blocks are taken as independent. ``twinserve.analysis.statistics`` compares two.

Sources: Cochran, *Sampling Techniques* (1977), ratio estimators over clusters; Woodruff,
"Confidence intervals for medians and other position measures" (1952); Korn & Graubard, "Confidence
intervals for proportions with small expected number of positive counts" (1998); Welch (1947).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray
from scipy import special

from twinserve.analysis.comparison import Estimate

Values = NDArray[np.float64]
Side = Sequence[Values]

LARGEST_SAMPLE = 1e7  # where a quantile's blocks agree better than any sample could
SAFE = (1e-100, 1e100)  # squares of such values neither vanish nor overflow
LONGEST_EXPONENT = 700.0


class Rows(Sequence[Values]):
    """A side whose rows are put in order once, however many quantiles are then asked of it.

    Blocks without rows are left out: a block of failed requests only adds a degree of freedom.
    """

    def __init__(self, side: Side) -> None:
        self._blocks = [block for block in side if block.size]
        self._counts: dict[float, Values] = {}

    @classmethod
    def of(cls, side: Side) -> Rows:
        return side if isinstance(side, Rows) else cls(side)

    @overload
    def __getitem__(self, place: int) -> Values: ...
    @overload
    def __getitem__(self, place: slice) -> list[Values]: ...
    def __getitem__(self, place: int | slice) -> Values | list[Values]:
        return self._blocks[place]

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[Values]:
        return iter(self._blocks)

    @cached_property
    def sizes(self) -> Values:
        return np.array([block.size for block in self], dtype=float)

    @cached_property
    def ordered(self) -> Values:
        """All rows, ascending."""
        return np.sort(np.concatenate([*self, np.empty(0)]))

    @property
    def size(self) -> int:
        return self.ordered.size

    @property
    def degrees(self) -> int:
        return len(self) - 1

    def at(self, p: float) -> float:
        """Quantile ``p`` of type 7 (linear between two rows)."""
        place = p * (self.size - 1)
        below = min(max(math.floor(place), 0), self.size - 1)
        low, high = float(self.ordered[below]), float(self.ordered[min(below + 1, self.size - 1)])
        return low + (place - below) * (high - low)

    def counts(self, value: float) -> Values:
        """How many rows of each block are at most ``value``; counted once for each value."""
        if value not in self._counts:
            counts = [np.count_nonzero(block <= value) for block in self]
            self._counts[value] = np.array(counts, dtype=float)
        return self._counts[value]


@dataclass(frozen=True)
class Estimator:
    """An estimate with its standard error; ``degrees`` of freedom below 1 mean an unknown error."""

    estimate: float
    error: float
    degrees: float

    @property
    def is_known(self) -> bool:
        return self.degrees >= 1 and math.isfinite(self.error)

    @property
    def has_log(self) -> bool:
        return self.is_known and self.estimate > 0

    def relative(self) -> Estimator:
        """The logarithm's standard error (delta method)."""
        return Estimator(math.log(self.estimate), self.error / self.estimate, self.degrees)


def mean_of(side: Side) -> Estimator:
    """The mean over all rows: a ratio of two block totals."""
    rows = Rows.of(side)
    unit = unit_of(rows)
    return scaled(ratio_of_totals(np.array([(b / unit).sum() for b in rows]), rows.sizes), unit)


def ratio_of_totals(totals: Values, sizes: Values) -> Estimator:
    """The cluster ratio estimator r = sum(t_i) / sum(m_i), one total and one size a block:
    se^2 = k/(k-1) * sum(((t_i - r * m_i) / sum(m_i))^2)."""
    whole = float(sizes.sum())
    ratio = float(totals.sum()) / whole
    k = totals.size
    if k < 2:
        return Estimator(ratio, math.nan, k - 1)
    residuals = (totals - ratio * sizes) / whole
    return Estimator(ratio, math.sqrt(k / (k - 1) * float(residuals @ residuals)), k - 1)


def scaled(estimator: Estimator, unit: float) -> Estimator:
    return Estimator(unit * estimator.estimate, unit * estimator.error, estimator.degrees)


def unit_of(*sides: Side) -> float:
    """By what to divide, so that squares stay numbers; 1 for values of a usual size."""
    largest = max((float(np.abs(block).max()) for side in sides for block in side), default=0.0)
    return 1.0 if not largest or SAFE[0] < largest < SAFE[1] else largest


def quantile_of(side: Side, p: float, confidence: float) -> Estimator:
    """A quantile's standard error read back from its interval: (high - low) / 2t."""
    rows = Rows.of(side)
    if rows.degrees < 1:
        return Estimator(rows.at(p), math.nan, 0)
    t = t_point(rows.degrees, confidence)
    limits = quantile_limits(rows, p, t, confidence)
    if limits.low is None or limits.high is None:
        return Estimator(limits.estimate, math.nan, 0)
    return Estimator(limits.estimate, (limits.high - limits.low) / (2 * t), rows.degrees)


def quantile_limits(side: Side, p: float, t: float, confidence: float) -> Estimate:
    """Woodruff: the limits of the share of rows at or below the quantile, read off as quantiles."""
    rows = Rows.of(side)
    quantile = rows.at(p)
    residuals = (rows.counts(quantile) - p * rows.sizes) / rows.size
    variance = len(rows) / rows.degrees * float(residuals @ residuals)
    low_p, high_p = share_limits(p, variance, t, confidence)
    edge = 1 / rows.size
    low = None if low_p < edge else rows.at(low_p)
    high = None if high_p > 1 - edge else rows.at(high_p)
    return Estimate(quantile, low, high)


def share_limits(
    share: float, variance: float, t: float, confidence: float, alike: float = LARGEST_SAMPLE
) -> tuple[float, float]:
    """Korn & Graubard: Clopper-Pearson limits of a share at the sample size n that its blocks are
    worth, share * (1 - share) / variance * (z / t)^2; ``alike`` is n where no block differs."""
    z = float(special.ndtri((1 + confidence) / 2))
    worth = share * (1 - share) * (z / t) ** 2
    n = worth / variance if variance > worth / LARGEST_SAMPLE else alike
    x, tail = share * n, (1 - confidence) / 2
    low = special.betaincinv(x, n - x + 1, tail) if x > 0 else 0.0
    high = special.betaincinv(x + 1, n - x, 1 - tail) if x < n else 1.0
    return float(low), float(high)


def welch_degrees(a: Estimator, b: Estimator) -> float:
    """Welch-Satterthwaite; the sum of both where neither side varies at all."""
    largest = max(a.error, b.error)
    if not largest:
        return a.degrees + b.degrees
    u, v = (a.error / largest) ** 2, (b.error / largest) ** 2
    return (u + v) ** 2 / (u**2 / a.degrees + v**2 / b.degrees)


def t_point(degrees: float, confidence: float) -> float:
    """The two-sided point of Student's t."""
    return float(special.stdtrit(degrees, (1 + confidence) / 2))


def around(estimate: float, half: float) -> Estimate:
    """``estimate`` +- ``half``; limits that are no numbers do not exist."""
    return with_limits(estimate, estimate - half, estimate + half)


def around_log(estimate: float, half: float) -> Estimate:
    """``estimate`` / and * exp(``half``)."""
    return from_logarithm(estimate, Estimate(0.0, -half, half))


def logarithm(interval: Estimate) -> Estimate:
    """The interval of the logarithm; one without limits where a limit is not above 0."""
    if not (interval.low and interval.high and interval.low > 0):
        return without_limits(math.nan)
    return Estimate(*(math.log(v) for v in (interval.estimate, interval.low, interval.high)))


def from_logarithm(estimate: float, logs: Estimate) -> Estimate:
    """``estimate`` with the limits that its logarithm has around ``logs.estimate``."""
    if logs.low is None or logs.high is None:
        return without_limits(estimate)
    below, above = logs.estimate - logs.low, logs.high - logs.estimate
    if not max(below, above) < LONGEST_EXPONENT:
        return without_limits(estimate)
    return with_limits(estimate, estimate * math.exp(-below), estimate * math.exp(above))


def with_limits(estimate: float, low: float, high: float) -> Estimate:
    if not (math.isfinite(low) and math.isfinite(high)):
        return without_limits(estimate)
    return Estimate(estimate, low, high)


def without_limits(estimate: float) -> Estimate:
    return Estimate(estimate, None, None)
