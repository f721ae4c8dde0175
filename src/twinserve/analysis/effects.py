"""How large a difference is, on scales that need no unit: pure.

Sources: Hedges, "Effect sizes in cluster-randomized designs" (2007), the total-variance effect
size; Vargha & Delaney (2000), after McGraw & Wong (1992), the probability of superiority; its error
over clusters: Obuchowski, "Nonparametric analysis of clustered ROC curve data" (1997); linearised
errors of functions of totals over clusters: Woodruff (1971).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from twinserve.analysis.comparison import Estimate
from twinserve.analysis.estimators import (
    Estimator,
    Rows,
    Side,
    Values,
    around,
    mean_of,
    ratio_of_totals,
    share_limits,
    t_point,
    unit_of,
    welch_degrees,
    without_limits,
)
from twinserve.analysis.statistics import CONFIDENCE

SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def standardised_difference(
    first: Side, second: Side, confidence: float = CONFIDENCE
) -> Estimate | None:
    """Hedges' total-variance effect size: (mean of second - mean of first) / S, S^2 the mean of the
    two sides' variances over all their rows, between blocks and within.

    Its error is that of the linearised estimate, summed up block by block. None where it does not
    exist: a side has fewer than two rows, or neither side varies.
    """
    a, b = _Moments(first, second), _Moments(second, first)
    if min(a.size, b.size) < 2 or a.variance + b.variance <= 0:
        return None
    spread = math.sqrt((a.variance + b.variance) / 2)
    effect = (b.mean - a.mean) / spread
    x, y = a.error_of(effect, spread, -1.0), b.error_of(effect, spread, 1.0)
    if not (x.is_known and y.is_known):
        return without_limits(effect)
    t = t_point(welch_degrees(x, y), confidence)
    return around(effect, t * math.hypot(x.error, y.error))


def superiority(first: Side, second: Side, confidence: float = CONFIDENCE) -> Estimate:
    """How often a row of ``second`` is below a row of ``first``, each drawn at random; a tie counts
    half. 0.5: as often as not.

    Its error is Obuchowski's, which sums each row's share of wins block by block; its limits are
    those of a share (Korn & Graubard), so that they stay between 0 and 1.
    """
    a, b = Rows.of(first), Rows.of(second)
    wins = np.array([_above(block, b) for block in a])
    losses = np.array([block.size - _above(block, a) for block in b])
    x, y = ratio_of_totals(wins, a.sizes), ratio_of_totals(losses, b.sizes)
    estimate = min(max(x.estimate, 0.0), 1.0)
    if not (x.is_known and y.is_known):
        return without_limits(estimate)
    t = t_point(welch_degrees(x, y), confidence)
    variance = math.hypot(x.error, y.error) ** 2
    limits = share_limits(estimate, variance, t, confidence, min(a.size, b.size))
    return Estimate(estimate, *limits)


class _Moments:
    """One side's mean and variance, in a unit that both sides share."""

    def __init__(self, side: Side, other: Side) -> None:
        self._rows = Rows.of(side)
        unit = unit_of(self._rows, Rows.of(other))
        self._blocks = [block / unit for block in self._rows]
        self.size = self._rows.size
        self.mean = mean_of(self._blocks).estimate
        off = [block - self.mean for block in self._blocks]
        self._off = off
        self.variance = sum(float(part @ part) for part in off) / max(self.size - 1, 1)

    def error_of(self, effect: float, spread: float, sign: float) -> Estimator:
        """The error that this side's blocks give the effect size.

        Of a row x: sign * (x - mean) / S - effect * ((x - mean)^2 - variance) / (4 * S^2).
        """
        totals = [
            sign * float(part.sum()) / spread
            - effect * (float(part @ part) - self.variance * part.size) / (4 * spread**2)
            for part in self._off
        ]
        return ratio_of_totals(np.array(totals), self._rows.sizes)


def _above(block: Values, others: Rows) -> float:
    """The sum, over a block's values, of the share of the others' rows below each, ties half."""
    values = np.sort(block)  # neighbours in order are found several times as fast
    below, at_most = (np.searchsorted(others.ordered, values, side=end) for end in SIDES)
    return float((below + at_most).sum()) / 2 / others.size
