"""What rows say in numbers: summaries of the sides, and their differences under METHOD's rules."""

from __future__ import annotations

from twinserve.analysis import statistics
from twinserve.analysis.comparison import MEASURES, Difference, Estimate, SideSummary
from twinserve.analysis.rows import SideRows
from twinserve.analysis.statistics import CONFIDENCE
from twinserve.analysis.verdict import Candidate

DECIDING = "elapsed_ms"
DECIDING_P = 0.95


def side_summary(side: SideRows) -> SideSummary:
    measures = {name: statistics.summarise(side.values(name)) for name in MEASURES}
    return SideSummary(
        requests=side.requests,
        errors=side.errors,
        cold_starts=side.instance_starts,
        throughput_rps=side.throughput_rps,
        **measures,
    )


def differences(first: SideRows, second: SideRows, allowance: float = 0.0) -> dict[str, Difference]:
    """A difference for every measure that both sides have, widened by ``allowance``."""
    both = [name for name in MEASURES if _has(first, name) and _has(second, name)]
    return {name: _difference(first, second, name, allowance) for name in both}


def deciding_difference(
    first: SideRows, second: SideRows, allowance: float = 0.0
) -> Estimate | None:
    """The difference that the verdict looks at; None where a side has no answered request."""
    if not (_has(first, DECIDING) and _has(second, DECIDING)):
        return None
    return _quantile_difference(first, second, DECIDING, DECIDING_P, allowance)


def candidate(side: SideRows, allowance: float = 0.0) -> Candidate:
    """A side as the verdict's rule sees it."""
    values = side.values(DECIDING)
    known = _has(side, DECIDING)
    p95 = statistics.quantile_interval(values, DECIDING_P) if known else None
    why = why_no_quantile(side, DECIDING, DECIDING_P) if p95 else None
    if p95:
        p95 = _estimate_only(p95) if why else statistics.widened_ratio(p95, allowance)
    return Candidate(side.name, side.requests, side.errors, p95, why)


def why_no_mean(side: SideRows, measure: str) -> str | None:
    """The rule that leaves the side's mean without an interval, in words."""
    return side.untold or statistics.why_no_mean(side.values(measure), side.fewest_blocks)


def why_no_quantile(side: SideRows, measure: str, p: float) -> str | None:
    """The rule that leaves the side's quantile ``p`` without an interval, in words."""
    return side.untold or statistics.why_no_quantile(side.values(measure), p, side.fewest_blocks)


def _difference(first: SideRows, second: SideRows, name: str, allowance: float) -> Difference:
    """Differences by METHOD; what its design rules leave undetermined keeps its estimate only."""
    a, b = first.values(name), second.values(name)
    mean, ratio = statistics.difference_of_means(a, b), statistics.ratio_of_means(a, b)
    if why_no_mean(first, name) or why_no_mean(second, name):
        mean = _estimate_only(mean)
        ratio = ratio and _estimate_only(ratio)
    first_mean, second_mean = (float(side.pooled(name).mean()) for side in (first, second))
    return Difference(
        mean=statistics.widened(mean, first_mean, second_mean, allowance),
        p50=_quantile_difference(first, second, name, 0.5, allowance),
        p95=_quantile_difference(first, second, name, 0.95, allowance),
        ratio_of_means=ratio and statistics.widened_ratio(ratio, allowance),
        confidence=CONFIDENCE,
    )


def _quantile_difference(
    first: SideRows, second: SideRows, name: str, p: float, allowance: float
) -> Estimate:
    a, b = first.values(name), second.values(name)
    difference = statistics.difference_of_quantiles(a, b, p)
    if why_no_quantile(first, name, p) or why_no_quantile(second, name, p):
        return _estimate_only(difference)
    first_end, second_end = (statistics.quantile_interval(side, p).estimate for side in (a, b))
    return statistics.widened(difference, first_end, second_end, allowance)


def _has(side: SideRows, measure: str) -> bool:
    return any(block.size for block in side.values(measure))


def _estimate_only(estimate: Estimate) -> Estimate:
    return Estimate(estimate.estimate, None, None)
