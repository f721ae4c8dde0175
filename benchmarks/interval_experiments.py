"""Simulated experiments, analysed by the code that analyses real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from interval_designs import Design, Draw, Size

from twinserve.analysis import effects, sequential, service_level, statistics
from twinserve.analysis.comparison import Estimate
from twinserve.analysis.estimators import Rows
from twinserve.analysis.service_level import Served
from twinserve.analysis.statistics import Finding

QUANTILES = {"p50": 0.5, "p95": 0.95}
SATISFIED, TOLERATED = 0.8, 0.95  # shares of the law within APDEX's two times
PLANTED = 1.15
WINNERS = (Finding.FIRST, Finding.SECOND)


@dataclass
class Tally:
    """What many experiments of one design and size gave, each a count by the interval's name.

    ``known``: there was an interval; ``held``: it had the true value in it; ``winners``: a side was
    named though both are alike; ``apart``: zero was outside of the interval though both are alike;
    ``found``: the faster side was named when the other one was made 15 % slower.
    """

    seeds: int
    known: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    winners: Counter[str] = field(default_factory=Counter)
    apart: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)

    def coverage(self, name: str) -> float | None:
        return self.held[name] / self.known[name] if self.known[name] else None


def simulate(design: Design, size: Size, seeds: int) -> Tally:
    """Analyse ``seeds`` experiments of a design: intervals, names, and a planted difference."""
    tally = Tally(seeds)
    for seed in range(seeds):
        first, second = _drawn(design.draw, size, seed)
        for name, interval, true in _intervals(design, first, second):
            if interval is not None and interval.low is not None and interval.high is not None:
                tally.known[name] += 1
                tally.held[name] += interval.low <= true <= interval.high
        for name, finding, apart in _named(first, second):
            tally.winners[name] += finding in WINNERS
            tally.apart[name] += apart
        if design.planted.get(size):
            slower = Rows([PLANTED * block for block in second])
            for name, finding, _ in _named(first, slower):
                tally.found[name] += finding is Finding.FIRST
    return tally


def false_differences(draw: Draw, size: Size, seeds: int) -> Counter[str]:
    """How often zero is outside of the interval of two sides that are alike."""
    apart: Counter[str] = Counter()
    for seed in range(seeds):
        apart.update(name for name, _, is_apart in _named(*_drawn(draw, size, seed)) if is_apart)
    return apart


@dataclass
class Stopped:
    """What runs gave that might stop early: how often the final interval had no zero in it though
    both sides are alike, and how many blocks they took in all."""

    seeds: int
    apart: int = 0
    blocks: int = 0


def stop_early(design: Design, size: Size, seeds: int, target: float) -> dict[str, Stopped]:
    """Stop when tight enough, or as soon as zero is outside, by the plan's looks or by looking at
    95 % after every block."""
    blocks, _ = size
    plan = sequential.planned(target, blocks)
    greedy = sequential.Plan(target, tuple(range(statistics.FEWEST_BLOCKS, blocks + 1)))
    rules = {
        "tight enough, planned looks": (plan.looks, plan.look_confidence, target),
        "zero outside, planned looks": (plan.looks, plan.look_confidence, None),
        "tight enough, 95 % after each block": (greedy.looks, 0.95, target),
        "zero outside, 95 % after each block": (greedy.looks, 0.95, None),
    }
    results = {name: Stopped(seeds) for name in rules}
    for seed in range(seeds):
        first, second = _drawn(design.draw, size, seed)
        for name, rule in rules.items():
            at, apart = _run_until(first, second, *rule)
            results[name].apart += apart
            results[name].blocks += at
    return results


def _run_until(
    first: Rows, second: Rows, looks: tuple[int, ...], confidence: float, target: float | None
) -> tuple[int, bool]:
    """The blocks at which a run ends, and whether zero is then outside of its interval."""
    plan = sequential.Plan(target or 0.5, looks, confidence=1 - (1 - confidence) * len(looks))
    apart = False
    for look in looks:
        a, b = Rows(first[:look]), Rows(second[:look])
        apart = _is_apart(plan.interval(a, b))
        if apart if target is None else plan.should_stop(a, b):
            return look, apart
    return looks[-1], apart


def _drawn(draw: Draw, size: Size, seed: int) -> tuple[Rows, Rows]:
    first, second = draw(np.random.default_rng([seed, *size]), *size)
    return Rows(list(first)), Rows(list(second))


def _named(first: Rows, second: Rows) -> Iterator[tuple[str, Finding, bool]]:
    mean = statistics.difference_of_means(first, second)
    yield "mean", statistics.classify(mean, _mean(second)), _is_apart(mean)
    for name, p in QUANTILES.items():
        difference = statistics.difference_of_quantiles(first, second, p)
        yield name, statistics.classify(difference, second.at(p)), _is_apart(difference)


def _intervals(
    design: Design, first: Rows, second: Rows
) -> Iterator[tuple[str, Estimate | None, float]]:
    """Each interval with its true value."""
    if design.mean is not None and design.quantile is not None:
        yield "mean", statistics.mean_interval(first), design.mean
        for name, p in QUANTILES.items():
            yield name, statistics.quantile_interval(first, p), design.quantile(p)
        yield from _service_level(
            first, design.mean, design.quantile(SATISFIED), design.quantile(TOLERATED)
        )
    yield "mean diff", statistics.difference_of_means(first, second), 0.0
    yield "mean ratio", statistics.ratio_of_means(first, second), 1.0
    for name, p in QUANTILES.items():
        yield f"{name} diff", statistics.difference_of_quantiles(first, second, p), 0.0
        yield f"{name} ratio", statistics.ratio_of_quantiles(first, second, p), 1.0
    yield "effect", effects.standardised_difference(first, second), 0.0
    yield "superior", effects.superiority(first, second), 0.5


def _service_level(
    side: Rows, mean: float, satisfied: float, tolerated: float
) -> Iterator[tuple[str, Estimate | None, float]]:
    """One user in a closed loop, whose blocks last as long as their answers take."""
    served = [Served(block, 0, float(block.sum())) for block in side]
    score = service_level.apdex(served, satisfied, tolerated)
    yield "apdex", score, (SATISFIED + TOLERATED) / 2
    yield "goodput", service_level.goodput(served, tolerated), TOLERATED / mean


def _is_apart(interval: Estimate) -> bool:
    if interval.low is None or interval.high is None:
        return False
    return interval.low > 0 or interval.high < 0


def _mean(side: Rows) -> float:
    return statistics.mean_interval(side).estimate
