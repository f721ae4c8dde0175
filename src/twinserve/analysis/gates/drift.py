"""The gate ``drift``: answer times stay where they were over the run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates.outcome import failing, passing, unknowing
from twinserve.analysis.gates.shares import Sides
from twinserve.analysis.rows import Floats, SideRows
from twinserve.analysis.statistics import CONFIDENCE, FEWEST_BLOCKS, POWER
from twinserve.analysis.trend import line
from twinserve.analysis.words import change, listed, share, signed_time

DRIFT_LIMIT = 0.10  # what counts as equal between the sides
# Of a side by itself. Stricter than for both together, so that three tests alarm no more often than
# METHOD's one is allowed to.
ALONE_CONFIDENCE = 0.995
HOUR_US = 3.6e9

Series = tuple[Floats, Floats]  # places in the run, and logarithms


def judge(sides: Sides) -> Gate:
    """Latency stays where it was over the run, on both sides together and on each one.

    The logarithm of each block's median latency (outliers among requests do not move a median, and
    how requests depend on each other stays inside their block) is regressed on the block's place
    in the run, with one slope and an intercept a side; t with k_A + k_B - 3 degrees of freedom. A
    side that gets slower while the other one gets faster would not show in a common slope, so each
    side is looked at by itself as well. With repeats, what an instance got at its start is no
    drift: each repeat has an intercept of its own, and the slope is the one within repeats.
    """
    places = [_by_repeat(side) for side in sides]
    trend = trend_of([part for side in places for part in side], CONFIDENCE)
    if trend is None:
        return unknowing("drift", f"It takes {FEWEST_BLOCKS} blocks a side to tell.")
    figures = (
        f"latency changed by {change(trend.size)} over {_span(sides)} (t = {trend.t:.1f} with "
        f"{trend.degrees} degrees of freedom; {listed([_slope(side) for side in sides])})"
    )
    large = _large(trend, sides, places)
    if large:
        return failing(
            "drift",
            f"Not steady: {figures}, {listed(large)}more than {share(DRIFT_LIMIT)}.",
            "Look for a leak in a deployment and for other work or throttling on the host, or warm "
            "up longer.",
        )
    if not trend.is_significant:
        return passing(
            "drift",
            f"None found: {figures}; a drift of {change(trend.detectable)} or more would have been "
            f"seen in {share(POWER)} of such runs.",
        )
    return passing("drift", f"Small: {figures}, within {share(DRIFT_LIMIT)}.")


@dataclass(frozen=True)
class Trend:
    """A slope of log latency over a run of ``length`` blocks, tested at ``confidence``."""

    slope: float
    error: float
    degrees: int
    length: float
    confidence: float

    @property
    def size(self) -> float:
        """The relative change from the first block to the last."""
        return math.expm1(self.slope * self.length)

    @property
    def t(self) -> float:
        return self.slope / self.error if self.error else math.copysign(math.inf, self.slope)

    @property
    def is_significant(self) -> bool:
        return self.slope != 0 and abs(self.t) > self._t((1 + self.confidence) / 2)

    @property
    def is_large(self) -> bool:
        return self.is_significant and abs(self.size) > DRIFT_LIMIT

    @property
    def detectable(self) -> float:
        """The drift that such a run finds in a share POWER of cases."""
        t = self._t((1 + self.confidence) / 2) + self._t(POWER)
        return math.expm1(t * self.error * self.length)

    def _t(self, p: float) -> float:
        return float(special.stdtrit(self.degrees, p))


def trend_of(sides: Sequence[Series], confidence: float) -> Trend | None:
    """Least squares with one slope; an intercept a side is taken off by centring each side.

    ``sides`` are places in the run and logarithms; None where a side has too few blocks.
    """
    if any(places.size < FEWEST_BLOCKS for places, _ in sides):
        return None
    x, y = (np.concatenate([a[i] - a[i].mean() for a in sides]) for i in (0, 1))
    places = np.concatenate([places for places, _ in sides])
    squares = float(x @ x)
    slope = float(x @ y) / squares
    residuals = y - slope * x
    degrees = x.size - len(sides) - 1
    error = math.sqrt(float(residuals @ residuals) / degrees / squares)
    return Trend(slope, error, degrees, float(np.ptp(places)), confidence)


def _large(trend: Trend, sides: Sides, places: Sequence[list[Series]]) -> list[str]:
    """What is above the limit: nothing, or words that go before "more than the limit"."""
    if trend.is_large:
        return [""]
    alone = [
        (side, trend_of(own, ALONE_CONFIDENCE)) for side, own in zip(sides, places, strict=True)
    ]
    return [
        f"the {side.name} by itself by {change(own.size)} (t = {own.t:.1f}), "
        for side, own in alone
        if own and own.is_large
    ]


def _slope(side: SideRows) -> str:
    """The straight line along a side's own requests, outliers clipped."""
    along = line(side.pooled("latency_ms"))
    hours = (side.blocks[-1].end_us - side.blocks[0].start_us) / HOUR_US
    an_hour = (along.last - along.first) / hours if hours > 0 else 0.0
    return (
        f"{side.name} {signed_time(along.slope)} a request, {signed_time(an_hour)} an hour, "
        f"R\N{SUPERSCRIPT TWO} {along.r_squared:.2f}"
    )


def _span(sides: Sides) -> str:
    return "a repeat" if any(side.repeats > 1 for side in sides) else "the run"


def _by_repeat(side: SideRows) -> list[Series]:
    """A series a repeat that is long enough, its places counted from its own beginning."""
    if side.repeats == 1:
        return [_log_medians(side)]
    parts = [_log_medians(part) for part in side.by_repeat()]
    whole = [(at - at.min(), logs) for at, logs in parts if at.size >= FEWEST_BLOCKS]
    return whole or parts[:1] or [_log_medians(side)]


def _log_medians(side: SideRows) -> Series:
    """Place in the run and log of the median latency of each block that has one."""
    told = [(b.index, b.measures["latency_ms"]) for b in side.blocks]
    known = [(index, float(np.median(ms))) for index, ms in told if ms.size and np.median(ms) > 0]
    return (
        np.array([index for index, _ in known], dtype=float),
        np.log([median for _, median in known]),
    )
