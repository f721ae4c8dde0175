"""What rows say in numbers: summaries of the sides, and their differences under METHOD's rules."""

from __future__ import annotations

import msgspec
import numpy as np

from twinserve.analysis import pair, service_level, statistics
from twinserve.analysis.comparison import (
    MEASURES,
    Apdex,
    Difference,
    Estimate,
    Goodput,
    Precision,
    SideSummary,
    Summary,
)
from twinserve.analysis.estimators import Rows, without_limits
from twinserve.analysis.pair import QUANTILES, Pair
from twinserve.analysis.planning import precision
from twinserve.analysis.rows import BLOCK, SideRows
from twinserve.analysis.service_level import LIMIT_MS, SATISFIED_MS, TOLERATED_MS, Served
from twinserve.analysis.statistics import CONFIDENCE
from twinserve.analysis.verdict import Candidate

DECIDING = "elapsed_ms"
DECIDING_P = 0.95


def side_summary(
    side: SideRows,
    allowance: float = 0.0,
    confidence: float = CONFIDENCE,
    apdex_ms: tuple[float, float] = (SATISFIED_MS, TOLERATED_MS),
    limit_ms: float = LIMIT_MS,
) -> SideSummary:
    """One side by itself, its intervals widened by ``allowance``.

    ``apdex_ms`` are the times that satisfy and that are tolerated, ``limit_ms`` is goodput's.
    """
    return SideSummary(
        requests=side.requests,
        errors=side.errors,
        cold_starts=side.instance_starts,
        throughput_rps=side.throughput_rps,
        **{name: _summary(side, name, allowance, confidence) for name in MEASURES},
        apdex=_apdex(side, apdex_ms, allowance, confidence),
        goodput=_goodput(side, limit_ms, allowance, confidence),
    )


def differences(
    first: SideRows, second: SideRows, allowance: float = 0.0, confidence: float = CONFIDENCE
) -> dict[str, Difference]:
    """A difference for every measure that both sides have, widened by ``allowance``.

    ``confidence`` is that of each interval: above 95 % where a run looked more than once.
    """
    both = [name for name in MEASURES if _has(first, name) and _has(second, name)]
    return {name: Pair(first, second, name, allowance, confidence).difference() for name in both}


def deciding_difference(
    first: SideRows, second: SideRows, allowance: float = 0.0, confidence: float = CONFIDENCE
) -> Estimate | None:
    """The difference that the verdict looks at; None where a side has no answered request."""
    if not (_has(first, DECIDING) and _has(second, DECIDING)):
        return None
    return Pair(first, second, DECIDING, allowance, confidence).of_quantiles(DECIDING_P)


def precision_of(
    first: SideRows, second: SideRows, found: dict[str, Difference]
) -> dict[str, Precision]:
    """How well the differences of elapsed time are known, by statistic; empty without any."""
    if DECIDING not in found:
        return {}
    return precision(first.values(DECIDING), second.values(DECIDING), found[DECIDING])


def candidate(side: SideRows, allowance: float = 0.0, confidence: float = CONFIDENCE) -> Candidate:
    """A side as the verdict's rule sees it."""
    rows = Rows(side.values(DECIDING))
    if not rows:
        return Candidate(side.name, side.requests, side.errors, None)
    p95 = statistics.quantile_interval(rows, DECIDING_P, confidence)
    why = pair.why_no_quantile(side, rows, DECIDING_P, confidence)
    p95 = without_limits(p95.estimate) if why else statistics.widened_ratio(p95, allowance)
    return Candidate(side.name, side.requests, side.errors, p95, why, len(rows))


def _summary(side: SideRows, name: str, allowance: float, confidence: float) -> Summary | None:
    rows = Rows(side.values(name))
    found = statistics.summarise(rows)
    if found is None:
        return None
    told = {
        key: statistics.quantile_interval(rows, p, confidence)
        for key, p in QUANTILES.items()
        if not pair.why_no_quantile(side, rows, p, confidence)
    }
    if not pair.why_no_mean(side, rows):
        told = {"mean": statistics.mean_interval(rows, confidence)} | told
    intervals = {
        key: statistics.widened_ratio(interval, allowance)
        for key, interval in told.items()
        if interval.low is not None
    }
    return msgspec.structs.replace(found, intervals=intervals)


def _apdex(
    side: SideRows, apdex_ms: tuple[float, float], allowance: float, confidence: float
) -> Apdex | None:
    def at(factor: float) -> Estimate | None:
        return service_level.apdex(_served(side, factor), *apdex_ms, confidence)

    score = statistics.widened_by_shift(at, allowance)
    return Apdex(_told(side, score), *apdex_ms) if score else None


def _goodput(
    side: SideRows, limit_ms: float, allowance: float, confidence: float
) -> Goodput | None:
    def rate(factor: float) -> Estimate | None:
        return service_level.goodput(_served(side, factor), limit_ms, confidence)

    def within(factor: float) -> Estimate | None:
        return service_level.share_within(_served(side, factor), limit_ms, confidence)

    rps, share = (statistics.widened_by_shift(at, allowance) for at in (rate, within))
    return Goodput(_told(side, rps), _told(side, share), limit_ms) if rps and share else None


def _told(side: SideRows, found: Estimate) -> Estimate:
    """What too few units leave undetermined keeps its estimate only."""
    units = sum(served.requests > 0 for served in _served(side))
    untold = side.untold or units < side.fewest_blocks
    return without_limits(found.estimate) if untold else found


def _served(side: SideRows, factor: float = 1.0) -> list[Served]:
    """Each unit as users met it, its times multiplied by ``factor``."""
    units = (
        [[b] for b in side.blocks]
        if side.unit == BLOCK
        else [list(part.blocks) for part in side.by_repeat()]
    )
    return [
        Served(
            factor * np.concatenate([block.measures[DECIDING] for block in unit]),
            sum(block.failed for block in unit),
            sum(block.end_us - block.start_us for block in unit) / 1e6,
        )
        for unit in units
    ]


def _has(side: SideRows, measure: str) -> bool:
    return any(block.size for block in side.values(measure))
