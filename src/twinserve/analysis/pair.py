"""One measure of the two sides: its differences and ratios under METHOD's rules."""

from __future__ import annotations

from collections.abc import Callable

from twinserve.analysis import statistics
from twinserve.analysis.comparison import Difference, Estimate
from twinserve.analysis.effects import standardised_difference, superiority
from twinserve.analysis.estimators import Rows, Side, mean_of, without_limits
from twinserve.analysis.rows import SideRows
from twinserve.analysis.statistics import CONFIDENCE

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}

Effect = Callable[[Side, Side, float], Estimate | None]


class Pair:
    """One measure of both sides, each with a row at least.

    What the design rules leave undetermined keeps its estimate and has no interval. ``confidence``
    is that of each interval, ``allowance`` what two occasions may have shifted by.
    """

    def __init__(
        self,
        first: SideRows,
        second: SideRows,
        measure: str,
        allowance: float = 0.0,
        confidence: float = CONFIDENCE,
    ) -> None:
        self._sides = (first, second)
        self._a, self._b = (Rows(side.values(measure)) for side in self._sides)
        self._allowance = allowance
        self._confidence = confidence
        rules = zip(self._sides, (self._a, self._b), strict=True)
        self._untold = any(why_no_mean(side, rows) for side, rows in rules)

    def difference(self) -> Difference:
        mean = self.of_means()
        quantiles = {name: self.of_quantiles(p) for name, p in QUANTILES.items()}
        return Difference(
            mean=mean,
            **quantiles,
            ratio_of_means=self._ratio_of_means(),
            ratios=self._ratios(),
            confidence=CONFIDENCE,
            findings={
                "mean": statistics.classify(mean, mean_of(self._b).estimate).value,
                "p50": statistics.classify(quantiles["p50"], self._b.at(0.5)).value,
                "p95": statistics.classify(quantiles["p95"], self._b.at(0.95)).value,
            },
            effect_size=self._effect(standardised_difference),
            superiority=self._effect(superiority),
        )

    def of_means(self) -> Estimate:
        found = statistics.difference_of_means(self._a, self._b, self._confidence)
        if self._untold:
            return without_limits(found.estimate)
        a, b = (mean_of(rows).estimate for rows in (self._a, self._b))
        return statistics.widened(found, a, b, self._allowance)

    def of_quantiles(self, p: float) -> Estimate:
        found = statistics.difference_of_quantiles(self._a, self._b, p, self._confidence)
        if self._no_quantile(p):
            return without_limits(found.estimate)
        return statistics.widened(found, self._a.at(p), self._b.at(p), self._allowance)

    def _ratio_of_means(self) -> Estimate | None:
        found = statistics.ratio_of_means(self._a, self._b, self._confidence)
        return found and self._told(found, self._untold)

    def _ratios(self) -> dict[str, Estimate]:
        found = {
            name: statistics.ratio_of_quantiles(self._a, self._b, p, self._confidence)
            for name, p in QUANTILES.items()
        }
        return {
            name: self._told(ratio, self._no_quantile(QUANTILES[name]))
            for name, ratio in found.items()
            if ratio
        }

    def _told(self, ratio: Estimate, untold: bool) -> Estimate:
        if untold:
            return without_limits(ratio.estimate)
        return statistics.widened_ratio(ratio, self._allowance)

    def _effect(self, effect: Effect) -> Estimate | None:
        def at(factor: float) -> Estimate | None:
            second = self._b if factor == 1 else Rows([factor * block for block in self._b])
            return effect(self._a, second, self._confidence)

        found = at(1.0) if self._untold else statistics.widened_by_shift(at, self._allowance)
        return without_limits(found.estimate) if found and self._untold else found

    def _no_quantile(self, p: float) -> bool:
        rules = zip(self._sides, (self._a, self._b), strict=True)
        return any(why_no_quantile(side, rows, p, self._confidence) for side, rows in rules)


def why_no_mean(side: SideRows, rows: Side) -> str | None:
    """The rule that leaves a mean of ``rows`` without an interval, in words."""
    return side.untold or statistics.why_no_mean(rows, side.fewest_blocks)


def why_no_quantile(side: SideRows, rows: Side, p: float, confidence: float) -> str | None:
    """The rule that leaves quantile ``p`` of ``rows`` without an interval, in words."""
    return side.untold or statistics.why_no_quantile(rows, p, side.fewest_blocks, confidence)
