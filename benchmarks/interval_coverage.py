"""How often the intervals of ``twinserve.analysis.statistics`` hold the true value.

Run with ``make bench-statistics``. Each line is one design: how the rows come about, how many
blocks a side and rows a block. Each number is the share of seeds whose 95 % interval holds the
value that the design has by construction; "none" is the share of seeds without one. Two sides of
the same law are compared, so that every difference is 0 and every ratio 1.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtri

from twinserve.analysis import statistics
from twinserve.analysis.comparison import Estimate

Rows = NDArray[np.float64]  # blocks x rows
SIGMA = 0.3
BLOCK_SIGMA = 0.05
CORRELATION = 0.9
TAIL = 2.5
SIZES = ((6, 300), (10, 100), (10, 300), (20, 300))
INTERVALS = ("mean", "p50", "p95", "mean diff", "ratio", "p50 diff", "p95 diff")


@dataclass(frozen=True)
class Design:
    """How one side's rows come about, with the values that they have by construction."""

    name: str
    draw: Callable[[np.random.Generator, int, int], Rows]
    mean: float
    quantile: Callable[[float], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=400, help="runs a design (default 400)")
    seeds = parser.parse_args().seeds
    if seeds < 1:
        parser.error(f"--seeds is {seeds}; at least one run a design is needed")
    error = math.sqrt(0.95 * 0.05 / seeds)
    _say(f"{seeds} seeds a line; a true 0.950 is seen as 0.950 +- {2 * error:.3f}\n")
    _say(f"{'rows':<22}{'blocks':>7}" + "".join(f"{name:>11}" for name in INTERVALS))
    for design in DESIGNS:
        for blocks, rows in SIZES:
            held, missing = coverage(design, blocks, rows, seeds)
            shares = "".join(_share(held[n], seeds - missing[n]) for n in INTERVALS)
            none = ", ".join(f"{n} {missing[n] / seeds:.2f}" for n in INTERVALS if missing[n])
            _say(
                f"{design.name:<22}{blocks:>3}x{rows:<4}{shares}{f'  none: {none}' if none else ''}"
            )


def coverage(
    design: Design, blocks: int, rows: int, seeds: int
) -> tuple[Counter[str], Counter[str]]:
    """How many seeds' intervals hold the true value, and how many have no interval, by name."""
    true = {
        "mean": design.mean,
        "p50": design.quantile(0.5),
        "p95": design.quantile(0.95),
        "ratio": 1.0,
    }
    held: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        first, second = (list(design.draw(rng, blocks, rows)) for _ in range(2))
        for name, interval in _intervals(first, second):
            if interval.low is None or interval.high is None:
                missing[name] += 1
            else:
                held[name] += interval.low <= true.get(name, 0.0) <= interval.high
    return held, missing


def _intervals(first: statistics.Side, second: statistics.Side) -> Iterator[tuple[str, Estimate]]:
    yield "mean", statistics.mean_interval(first)
    yield "p50", statistics.quantile_interval(first, 0.5)
    yield "p95", statistics.quantile_interval(first, 0.95)
    yield "mean diff", statistics.difference_of_means(first, second)
    ratio = statistics.ratio_of_means(first, second)
    if ratio is not None:
        yield "ratio", ratio
    yield "p50 diff", statistics.difference_of_quantiles(first, second, 0.5)
    yield "p95 diff", statistics.difference_of_quantiles(first, second, 0.95)


def _independent(rng: np.random.Generator, blocks: int, rows: int) -> Rows:
    return rng.lognormal(0, SIGMA, (blocks, rows))


def _autocorrelated(rng: np.random.Generator, blocks: int, rows: int) -> Rows:
    """A stationary AR(1) of variance 1, a start of its own in each block."""
    noise = rng.normal(0, math.sqrt(1 - CORRELATION**2), (blocks, rows))
    noise[:, 0] /= math.sqrt(1 - CORRELATION**2)
    series: Rows = np.exp(SIGMA * lfilter([1.0], [1.0, -CORRELATION], noise, axis=1))
    return series


def _heavy(rng: np.random.Generator, blocks: int, rows: int) -> Rows:
    return 1 + rng.pareto(TAIL, (blocks, rows))


def _shifted(rng: np.random.Generator, blocks: int, rows: int) -> Rows:
    return rng.lognormal(rng.normal(0, BLOCK_SIGMA, (blocks, 1)), SIGMA, (blocks, rows))


def _share(held: int, known: int) -> str:
    return f"{held / known:>11.3f}" if known else f"{'none':>11}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _log_normal_design(
    name: str, draw: Callable[[np.random.Generator, int, int], Rows], sigma: float = SIGMA
) -> Design:
    return Design(name, draw, math.exp(sigma**2 / 2), lambda p: math.exp(sigma * float(ndtri(p))))


DESIGNS = (
    _log_normal_design("independent", _independent),
    _log_normal_design("autocorrelated 0.9", _autocorrelated),
    Design("heavy tail", _heavy, TAIL / (TAIL - 1), lambda p: (1 - p) ** (-1 / TAIL)),
    _log_normal_design("block shift 5 %", _shifted, math.hypot(SIGMA, BLOCK_SIGMA)),
)

if __name__ == "__main__":
    main()
