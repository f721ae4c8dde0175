"""What a plan can see before it runs, and how much more a wanted precision takes after it: pure.

A block's own value (its mean or quantile) scatters around the side's by a relative standard
deviation s; k blocks a side know a ratio of the two sides to sqrt(2 / k) * s, and a difference is
nearly always seen from (t for the confidence + t for the power) times that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy import special

from twinserve.analysis.comparison import Difference, Estimate, Precision
from twinserve.analysis.estimators import Rows, Side, mean_of, quantile_of, t_point
from twinserve.analysis.statistics import (
    CONFIDENCE,
    FEWEST_BLOCKS,
    POWER,
    blocks_needed,
    detectable_difference,
    rows_needed,
)
from twinserve.analysis.words import share
from twinserve.workload import Workload

STATISTICS: Mapping[str, float | None] = {"mean": None, "p50": 0.5, "p95": 0.95}
WIDTHS = (0.10, 0.05, 0.02, 0.01)

# The study's "shifting blocks" (docs/method.md): what a host that is otherwise quiet does.
ROW_SIGMA = 0.30  # standard deviation of the logarithm of a time within a block
BLOCK_SIGMA = 0.05  # of the logarithm of a block's level


@dataclass(frozen=True)
class Spread:
    """How far one block's value lies from the side's, relative to it, by statistic.

    ``rows`` is how many rows a block it is true for, ``basis`` says where it comes from.
    """

    rows: float
    by_statistic: Mapping[str, float]
    basis: str


@dataclass(frozen=True)
class Detectable:
    """What a plan sees: the share by which the sides must differ, or why nothing."""

    statistic: str
    difference: float | None
    why: str

    def described(self) -> str:
        """'Detectable: 9 % in p95 (...)'."""
        if self.difference is None:
            return f"Detectable in {self.statistic}: undetermined; {self.why}."
        return f"Detectable: {share(self.difference)} in {self.statistic} ({self.why})."


def detectable_before(
    blocks: int, rows: float | None, spread: Spread, statistic: str = "p95"
) -> Detectable:
    """The difference between the sides that ``blocks`` blocks a side of ``rows`` rows nearly always
    see (95 % of runs), if they scatter as ``spread`` says.

    ``rows`` None: nobody knows before; then as many are taken as the statistic needs.
    """
    if blocks < FEWEST_BLOCKS:
        why = f"{FEWEST_BLOCKS} blocks a side are needed, the plan has {blocks}"
        return Detectable(statistic, None, why)
    if statistic not in spread.by_statistic:
        return Detectable(statistic, None, f"{spread.basis} does not tell")
    p = STATISTICS[statistic]
    fewest = 1 if p is None else rows_needed(p)
    if rows is not None and rows * blocks < fewest:
        why = f"it needs {fewest:,} rows a side, the plan expects {rows * blocks:,.0f}"
        return Detectable(statistic, None, why)
    known = fewest / blocks if rows is None else rows
    degrees = 2 * (blocks - 1)
    t = t_point(degrees, CONFIDENCE) + float(special.stdtrit(degrees, POWER))
    size = math.expm1(t * math.sqrt(2 / blocks) * _of_a_block(spread, known, statistic))
    about = f"about {known:,.0f}" if rows is not None else f"{math.ceil(known):,} or more"
    return Detectable(
        statistic, size, f"{blocks} blocks a side of {about} rows; assumed is {spread.basis}"
    )


def assumed_spread(rows: float) -> Spread:
    """The study's own host, for those who have no run to go by: log-normal times that vary by 30 %
    within a block of ``rows`` rows, blocks that shift by 5 %. A busier host sees less."""
    rows = max(rows, 1.0)
    within = {
        "mean": math.expm1(ROW_SIGMA**2) / rows,
        "p50": ROW_SIGMA**2 * _quantile_variance(0.5) / rows,
        "p95": ROW_SIGMA**2 * _quantile_variance(0.95) / rows,
    }
    return Spread(
        rows,
        {name: math.sqrt(BLOCK_SIGMA**2 + variance) for name, variance in within.items()},
        f"a quiet host, on which times vary by {share(ROW_SIGMA)} and blocks by "
        f"{share(BLOCK_SIGMA)}",
    )


def spread_of(first: Side, second: Side, basis: str = "the spread of the run given") -> Spread:
    """What a past run shows, the worse of its two sides for each statistic; those that it cannot
    tell are left out."""
    sides = [Rows.of(side) for side in (first, second)]
    found = {name: [_relative(side, p) for side in sides] for name, p in STATISTICS.items()}
    return Spread(
        min((side.size / max(len(side), 1) for side in sides), default=0.0),
        {
            name: max(value for value in both if value is not None)
            for name, both in found.items()
            if None not in both
        },
        basis,
    )


def expected_rows(workload: Workload, response_s: float | None = None) -> float | None:
    """Rows a block and side: of an open loop by its rate, of a closed one by how long an answer
    takes (None: not known)."""
    if workload.rate_rps is not None:
        return workload.rate_rps * workload.block_s
    if response_s is None or response_s + workload.think_s <= 0:
        return None
    return workload.users * workload.block_s / (response_s + workload.think_s)


def precision(first: Side, second: Side, difference: Difference) -> dict[str, Precision]:
    """How well each statistic's difference is known, and what more of it would take."""
    a, b = Rows.of(first), Rows.of(second)
    blocks = min(len(a), len(b))
    told = {"mean": difference.mean, "p50": difference.p50, "p95": difference.p95}
    return {name: _precision(a, b, blocks, name, told[name]) for name in STATISTICS}


def _precision(a: Rows, b: Rows, blocks: int, name: str, difference: Estimate) -> Precision:
    p = STATISTICS[name]
    value = abs(mean_of(b).estimate if p is None else b.at(p))
    if difference.low is None or difference.high is None or not value:
        return Precision(blocks, None, None)
    detectable = detectable_difference(a, b, p)
    wanted = {f"{100 * w:g}": blocks_needed(difference, blocks, w * value) for w in WIDTHS}
    return Precision(
        blocks=blocks,
        half_width=(difference.high - difference.low) / 2 / value,
        detectable=None if detectable is None else detectable / value,
        blocks_for={width: needed for width, needed in wanted.items() if needed is not None},
    )


def _of_a_block(spread: Spread, rows: float, statistic: str) -> float:
    """A block's relative standard deviation at ``rows`` rows: fewer rows scatter more, but more
    rows are not taken to scatter less, since blocks differ whatever their length."""
    return spread.by_statistic[statistic] * math.sqrt(max(spread.rows / rows, 1.0))


def _relative(side: Rows, p: float | None) -> float | None:
    """One block's relative standard deviation: sqrt(k) times the side's relative error."""
    if side.degrees < 1:
        return None
    found = mean_of(side) if p is None else quantile_of(side, p, CONFIDENCE)
    if not found.has_log:
        return None
    return math.sqrt(len(side)) * found.error / found.estimate


def _quantile_variance(p: float) -> float:
    """p (1 - p) / density^2: the variance of a standard normal sample's quantile, times n."""
    z = float(special.ndtri(p))
    return p * (1 - p) * 2 * math.pi * math.exp(z * z)
