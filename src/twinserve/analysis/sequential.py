"""Stop a run when its interval is tight enough, by a rule that keeps the error rate: pure.

Whoever looks again and again and stops when the interval pleases has a larger error rate than the
interval promises. So the looks are fixed before the run, and each takes its interval at a
confidence of 1 - (1 - confidence) / looks: by Bonferroni's inequality the intervals of all looks
hold the true value together in a share ``confidence`` of runs, hence also the one at which the run
stops, by whichever rule. ``make bench-statistics`` shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from twinserve.analysis.comparison import Estimate
from twinserve.analysis.estimators import Rows, Side, mean_of
from twinserve.analysis.statistics import (
    CONFIDENCE,
    FEWEST_BLOCKS,
    difference_of_means,
    difference_of_quantiles,
    why_no_mean,
    why_no_quantile,
)
from twinserve.errors import UsageError

FIRST_LOOK = 10  # blocks a side: METHOD's fewest for a verdict on p95
MOST_LOOKS = 5
APART = 1.4  # blocks grow by so much from look to look at least: each look costs confidence


@dataclass(frozen=True)
class Plan:
    """Look at the difference when each side has finished so many blocks, and stop when half the
    width of its interval is at most ``target`` of the second side's value.

    ``looks`` ascend, the last one is the end of the run; ``p`` is the quantile that is looked at,
    None the mean. With repeats, a repeat is what a block is here.
    """

    target: float
    looks: tuple[int, ...]
    p: float | None = 0.95
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        if not 0 < self.target < 1:
            raise UsageError(
                f"--until is {100 * self.target:g} %; it is half the width of the interval as a "
                f"share of what is measured, above 0 % and below 100 %, such as 5%."
            )
        if not self.looks or list(self.looks) != sorted({*self.looks}):
            raise UsageError(f"looks {self.looks} must ascend, and there must be one at least.")

    @property
    def look_confidence(self) -> float:
        """The confidence of the interval at each look, and of the final one, computed so that the
        final one keeps ``confidence``."""
        return 1 - (1 - self.confidence) / len(self.looks)

    def should_stop(self, first: Side, second: Side) -> bool:
        """Whether the run may end here: one array a finished block, empty where all failed.

        Always False between looks: that is what the error rate rests on.
        """
        if len(first) != len(second) or len(first) not in self.looks:
            return False
        width = self.half_width(first, second)
        return width is not None and width <= self.target

    def half_width(self, first: Side, second: Side) -> float | None:
        """The longer half of the interval as a share of the second side's value; None where there
        is no interval."""
        a, b = Rows.of(first), Rows.of(second)
        if self._why_not(a) or self._why_not(b):
            return None
        found = self.interval(a, b)
        value = abs(mean_of(b).estimate if self.p is None else b.at(self.p))
        if found.low is None or found.high is None or not value:
            return None
        share = max(found.high - found.estimate, found.estimate - found.low) / value
        return share if math.isfinite(share) else None

    def interval(self, first: Side, second: Side) -> Estimate:
        """The difference, second minus first, with the interval that a look takes."""
        if self.p is None:
            return difference_of_means(first, second, self.look_confidence)
        return difference_of_quantiles(first, second, self.p, self.look_confidence)

    def _why_not(self, side: Side) -> str | None:
        if self.p is None:
            return why_no_mean(side)
        return why_no_quantile(side, self.p, confidence=self.look_confidence)


def planned(target: float, blocks: int, p: float | None = 0.95) -> Plan:
    """A plan for a run of at most ``blocks`` blocks a side: up to five looks, evenly spread from
    the tenth block (or the last one, if there are fewer) to the last, fewer in a short run.

    Raises:
        UsageError: the target is no share, or the run is too short for any interval.
    """
    if blocks < FEWEST_BLOCKS:
        raise UsageError(
            f"--until needs at least {FEWEST_BLOCKS} blocks a side, the plan has {blocks}."
        )
    first = min(FIRST_LOOK, blocks)
    steps = min(MOST_LOOKS - 1, math.floor(math.log(blocks / first) / math.log(APART)))
    looks = {first + round((blocks - first) * step / max(steps, 1)) for step in range(steps)}
    return Plan(target, tuple(sorted({*looks, blocks})), p)
