"""Checks that an experiment must pass before its comparison may be believed: pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from twinserve.analysis.comparison import Gate, GateStatus
from twinserve.analysis.rows import BlockRows, Floats, SideRows
from twinserve.analysis.statistics import CONFIDENCE, FEWEST_BLOCKS, POWER
from twinserve.analysis.trend import line
from twinserve.analysis.words import change, count, listed, share, signed_time
from twinserve.records.manifest import EqualityResult, Manifest, Workload

ERROR_LIMIT = 0.01
COLD_LIMIT = 0.01
LOAD_SHARE = 0.90
DRIFT_LIMIT = 0.10
HOUR_US = 3.6e9

Sides = Sequence[SideRows]


def check(manifest: Manifest, sides: Sides) -> list[Gate]:
    """Every gate, in the order in which comparison.json names them."""
    return [
        equality(manifest.equality),
        load(manifest.workload, sides),
        drift(sides),
        saturation(),
        host(),
        errors(sides),
        cold(sides),
    ]


def equality(result: EqualityResult | None) -> Gate:
    """Both sides gave the same answers to the same requests."""
    if result is None or not result.requests:
        return unknowing("equality", "The run ended before both sides were asked the same.")
    if result.equal < result.requests:
        return failing(
            "equality",
            f"Only {result.equal} of {result.requests} requests got equal answers from both sides "
            f"({result.detail}).",
            "Let both sides run the same bundle with the same arithmetic, then compare again.",
        )
    return passing("equality", f"{result.equal} of {result.requests} requests got equal answers.")


def load(workload: Workload, sides: Sides) -> Gate:
    """The users of the closed loop were as busy as N*R/(R+Z) says (Little's law)."""
    applied = [_applied(workload, side) for side in sides]
    seen = [a for a in applied if a is not None]
    if len(seen) < len(applied):
        return unknowing("load", "A side has no block that is long enough to tell.")
    detail = f"{'; '.join(a.described() for a in seen)}."
    if any(a.mean < LOAD_SHARE * a.target for a in seen):
        return failing(
            "load",
            f"The load was not fully applied: {detail}",
            "Free a core for the load generator, or ask for fewer users.",
        )
    if workload.users > 1 and any(a.most < 2 for a in seen):
        return failing(
            "load",
            f"No two requests ever overlapped: {detail}",
            "Ask for more users or a shorter think time.",
        )
    return passing("load", detail)


def drift(sides: Sides) -> Gate:
    """Latency stays where it was over the run.

    The logarithm of each block's median latency is regressed on the block's place in the run, with
    one slope and an intercept a side; t with k_A + k_B - 3 degrees of freedom.
    """
    trend = _trend([_log_medians(side) for side in sides])
    if trend is None:
        return unknowing("drift", f"It takes {FEWEST_BLOCKS} blocks a side to tell.")
    figures = (
        f"latency changed by {change(trend.size)} over the run (t = {trend.t:.1f} with "
        f"{trend.degrees} degrees of freedom; {listed([_slope(side) for side in sides])})"
    )
    if not trend.is_significant:
        return passing(
            "drift",
            f"None found: {figures}; a drift of {change(trend.detectable)} or more would have been "
            f"seen in {share(POWER)} of such runs.",
        )
    if abs(trend.size) <= DRIFT_LIMIT:
        return passing("drift", f"Small: {figures}, within {share(DRIFT_LIMIT)}.")
    return failing(
        "drift",
        f"Not steady: {figures}, more than {share(DRIFT_LIMIT)}.",
        "Look for a leak in a deployment and for other work or throttling on the host, or warm up "
        "longer.",
    )


def saturation() -> Gate:
    return unknowing(
        "saturation",
        "This version does not measure whether the load generator itself was the bottleneck.",
    )


def host() -> Gate:
    return unknowing(
        "host", "This version does not measure whether other work on the host was in the way."
    )


def errors(sides: Sides) -> Gate:
    """Fewer than 1 % of the requests of each side failed."""
    if not all(side.requests for side in sides):
        return unknowing("errors", f"{_without_requests(sides)} had no request in a block.")
    detail = _parts(sides, [side.errors for side in sides], "failed")
    if any(side.errors >= ERROR_LIMIT * side.requests for side in sides):
        return failing(
            "errors",
            f"{detail}; fewer than {share(ERROR_LIMIT)} may fail.",
            "Read failureMessage in samples.csv, mend the cause or ask for fewer users.",
        )
    return passing("errors", f"{detail}.")


def cold(sides: Sides) -> Gate:
    """Cold starts touch at most 1 % of the rows that are compared."""
    if not all(side.requests for side in sides):
        return unknowing("cold", f"{_without_requests(sides)} had no request in a block.")
    detail = _parts(
        sides, [side.cold_requests for side in sides], "waited for an instance to start"
    )
    if any(side.cold_requests > COLD_LIMIT * side.requests for side in sides):
        return failing(
            "cold",
            f"{detail}; at most {share(COLD_LIMIT)} may be mixed in.",
            "Warm up longer, or keep instances with min_instances or a longer idle time.",
        )
    return passing("cold", f"{detail}.")


@dataclass(frozen=True)
class _Applied:
    """The load that one side's steady windows saw, in requests at a time."""

    side: str
    target: float
    mean: float
    most: int
    busy_share: float  # of the time, at LOAD_SHARE of the target or more
    throughput_rps: float

    def described(self) -> str:
        return (
            f"{self.side}: {self.mean:.2f} requests at a time of {self.target:.2f} intended "
            f"({share(self.mean / self.target)}), at most {self.most}, {share(self.busy_share)} of "
            f"the time at {LOAD_SHARE * self.target:.1f} or more, {self.throughput_rps:.1f} "
            f"answers a second"
        )


def _applied(workload: Workload, side: SideRows) -> _Applied | None:
    windows = [(block, *_steady_window(block, workload.block_s)) for block in side.blocks]
    windows = [(block, a, b) for block, a, b in windows if b > a]
    if not windows:
        return None
    response_us = np.concatenate([block.done_us - block.sent_us for block, _, _ in windows]).mean()
    target = workload.users * response_us / (response_us + 1e6 * workload.think_s)
    level, length = (
        np.concatenate(parts)
        for parts in zip(*(levels(block, a, b) for block, a, b in windows), strict=True)
    )
    return _Applied(
        side=side.name,
        target=float(target),
        mean=float(np.average(level, weights=length)),
        most=int(level[length > 0].max()),
        busy_share=float(length[level >= LOAD_SHARE * target].sum() / length.sum()),
        throughput_rps=side.throughput_rps,
    )


def _steady_window(block: BlockRows, block_s: float) -> tuple[int, int]:
    """From when the last user has begun to when users stop asking, in microseconds of the run."""
    if not block.sent_us.size:
        return 0, 0
    first_sends = [int(block.sent_us[block.user == user].min()) for user in np.unique(block.user)]
    return max(first_sends), min(block.start_us + round(block_s * 1e6), block.end_us)


def levels(block: BlockRows, start_us: int, end_us: int) -> tuple[Floats, Floats]:
    """Requests in flight, and for how long, between one event and the next inside the window."""
    at_us = np.concatenate([block.done_us, block.sent_us])
    step = np.concatenate([-np.ones(block.done_us.size), np.ones(block.sent_us.size)])
    order = np.lexsort((step, at_us))  # at one moment an end comes before a start
    inner = np.clip(at_us[order], start_us, end_us)
    return np.cumsum(step[order]), np.diff(inner, append=end_us).astype(float)


@dataclass(frozen=True)
class _Trend:
    """A slope of log latency over a run of ``length`` blocks."""

    slope: float
    error: float
    degrees: int
    length: float

    @property
    def size(self) -> float:
        """The relative change from the first block to the last."""
        return math.expm1(self.slope * self.length)

    @property
    def t(self) -> float:
        return self.slope / self.error if self.error else math.copysign(math.inf, self.slope)

    @property
    def is_significant(self) -> bool:
        return self.slope != 0 and abs(self.t) > self._t((1 + CONFIDENCE) / 2)

    @property
    def detectable(self) -> float:
        """The drift that such a run finds in a share POWER of cases."""
        t = self._t((1 + CONFIDENCE) / 2) + self._t(POWER)
        return math.expm1(t * self.error * self.length)

    def _t(self, p: float) -> float:
        return float(special.stdtrit(self.degrees, p))


def _slope(side: SideRows) -> str:
    """The straight line along a side's own requests, outliers clipped."""
    along = line(side.pooled("latency_ms"))
    hours = (side.blocks[-1].end_us - side.blocks[0].start_us) / HOUR_US
    an_hour = (along.last - along.first) / hours if hours > 0 else 0.0
    return (
        f"{side.name} {signed_time(along.slope)} a request, {signed_time(an_hour)} an hour, "
        f"R\N{SUPERSCRIPT TWO} {along.r_squared:.2f}"
    )


def _log_medians(side: SideRows) -> tuple[Floats, Floats]:
    """Place in the run and log of the median latency of each block that has one."""
    told = [(b.index, b.measures["latency_ms"]) for b in side.blocks]
    known = [(index, float(np.median(ms))) for index, ms in told if ms.size and np.median(ms) > 0]
    return (
        np.array([index for index, _ in known], dtype=float),
        np.log([median for _, median in known]),
    )


def _trend(sides: Sequence[tuple[Floats, Floats]]) -> _Trend | None:
    """Least squares with one slope; an intercept a side is taken off by centring each side."""
    if any(places.size < FEWEST_BLOCKS for places, _ in sides):
        return None
    x, y = (np.concatenate([a[i] - a[i].mean() for a in sides]) for i in (0, 1))
    places = np.concatenate([places for places, _ in sides])
    squares = float(x @ x)
    slope = float(x @ y) / squares
    residuals = y - slope * x
    degrees = x.size - len(sides) - 1
    error = math.sqrt(float(residuals @ residuals) / degrees / squares)
    return _Trend(slope, error, degrees, float(np.ptp(places)))


def _parts(sides: Sides, touched: Sequence[int], what: str) -> str:
    return "; ".join(_part(side, number, what) for side, number in zip(sides, touched, strict=True))


def _part(side: SideRows, number: int, what: str) -> str:
    of = count(side.requests, "request")
    return f"{side.name}: {number:,} of {of} {what} ({share(number / side.requests)})"


def _without_requests(sides: Sides) -> str:
    return listed([side.name for side in sides if not side.requests])


def passing(name: str, detail: str) -> Gate:
    return Gate(name, GateStatus.PASS, detail)


def failing(name: str, detail: str, remedy: str) -> Gate:
    return Gate(name, GateStatus.FAIL, f"{detail} {remedy}")


def unknowing(name: str, detail: str) -> Gate:
    return Gate(name, GateStatus.UNKNOWN, detail)
