"""How the rows of a simulated experiment come about, with the values they have by construction.

The scenarios of the method (docs/method.md): independent rows, autocorrelated ones, heavy tails,
blocks that shift, a rare slow mode, a host that drifts, and a queue. Times are in units of the
median or of the service; only ratios matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

Rows = NDArray[np.float64]  # blocks x rows
Draw = Callable[[np.random.Generator, int, int], tuple[Rows, Rows]]
Size = tuple[int, int]  # blocks a side, rows a block

SIGMA = 0.3  # of the logarithm of a time within a block
BLOCK_SIGMA = 0.05  # of the logarithm of a block's level
CORRELATION = 0.9
TAIL = 2.5  # the variance exists, the third moment does not
DRIFT = 0.3  # from the first block to the last, on both sides
SLOW, SLOW_SHARE = 1.3, 1 / 3
LOAD = 0.7
EVERY = ("mean", "p50", "p95")


@dataclass(frozen=True)
class Design:
    """One scenario: both sides follow the same law.

    ``mean`` and ``quantile`` are its true values, None where one side by itself has none.
    ``planted`` says at which sizes METHOD promises to find 15 %, and in which statistics.
    """

    name: str
    draw: Draw
    mean: float | None
    quantile: Callable[[float], float] | None
    sizes: tuple[Size, ...]
    planted: Mapping[Size, tuple[str, ...]] = field(default_factory=dict)
    core: bool = False


def sequential_blocks(rng: np.random.Generator, blocks: int, rows: int) -> tuple[Rows, Rows]:
    """First all blocks of A, then all of B, on the host that drifts: what pairs are for."""
    levels = 1 + DRIFT * np.arange(2 * blocks) / (2 * blocks - 1)
    series = levels[:, None] * rng.lognormal(0, SIGMA, (2 * blocks, rows))
    return series[:blocks], series[blocks:]


def _alike(law: Callable[[np.random.Generator, int, int], Rows]) -> Draw:
    """Two sides of one law, drawn in one go."""

    def draw(rng: np.random.Generator, blocks: int, rows: int) -> tuple[Rows, Rows]:
        both = law(rng, 2 * blocks, rows)
        return both[:blocks], both[blocks:]

    return draw


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


def _slow_mode(rng: np.random.Generator, blocks: int, rows: int) -> Rows:
    levels = np.where(rng.random((blocks, 1)) < SLOW_SHARE, SLOW, 1.0)
    series: Rows = levels * rng.lognormal(0, SIGMA, (blocks, rows))
    return series


def _drifting(rng: np.random.Generator, blocks: int, rows: int) -> tuple[Rows, Rows]:
    """Adjacent pairs, the order within each drawn, on a host that gets slower all the time."""
    places = 2 * np.arange(blocks) + rng.integers(0, 2, blocks)
    both = np.stack([places, 4 * np.arange(blocks) + 1 - places])
    levels = 1 + DRIFT * both / (2 * blocks - 1)
    series = levels[:, :, None] * rng.lognormal(0, SIGMA, (2, blocks, rows))
    return series[0], series[1]


def _queue(rng: np.random.Generator, blocks: int, rows: int) -> Rows:
    """Times in an M/M/1 queue, waiting and service: Lindley's recursion as a running minimum.

    The first request of each block finds the queue in its steady state, in which the wait is 0
    with probability 1 - load and else exponential with rate 1 - load.
    """
    service = rng.exponential(1, (blocks, rows))
    gaps = rng.exponential(1 / LOAD, (blocks, rows))
    steady = rng.exponential(1 / (1 - LOAD), (blocks, 1)) * (rng.random((blocks, 1)) < LOAD)
    steps = np.cumsum(service[:, :-1] - gaps[:, 1:], axis=1)
    walk = np.concatenate([steady, steady + steps], axis=1)
    waits = walk - np.minimum(np.minimum.accumulate(walk, axis=1), 0)
    times: Rows = waits + service
    return times


def _slow_mode_quantile(p: float) -> float:
    def missing(x: float) -> float:
        usual, slow = (ndtr(math.log(x / level) / SIGMA) for level in (1.0, SLOW))
        return float((1 - SLOW_SHARE) * usual + SLOW_SHARE * slow - p)

    return float(brentq(missing, 0.1, 10))


def _log_normal_quantile(sigma: float) -> Callable[[float], float]:
    return lambda p: math.exp(sigma * float(ndtri(p)))


WIDE = math.hypot(SIGMA, BLOCK_SIGMA)
DESIGNS = (
    Design(
        "independent",
        _alike(_independent),
        math.exp(SIGMA**2 / 2),
        _log_normal_quantile(SIGMA),
        sizes=((6, 300), (10, 300), (20, 300)),
        planted={(10, 300): EVERY},
        core=True,
    ),
    Design(
        "autocorrelated 0.9",
        _alike(_autocorrelated),
        math.exp(SIGMA**2 / 2),
        _log_normal_quantile(SIGMA),
        sizes=((10, 1000), (20, 1000)),
        planted={(10, 1000): ("mean", "p50"), (20, 1000): ("p95",)},
        core=True,
    ),
    Design(
        "heavy tail",
        _alike(_heavy),
        TAIL / (TAIL - 1),
        lambda p: (1 - p) ** (-1 / TAIL),
        sizes=((10, 1000), (20, 1000)),
        planted={(10, 1000): ("mean", "p50"), (20, 1000): ("p95",)},
        core=True,
    ),
    Design(
        "blocks shift 5 %",
        _alike(_shifted),
        math.exp(WIDE**2 / 2),
        _log_normal_quantile(WIDE),
        sizes=((10, 300), (20, 300)),
        core=True,
    ),
    Design(
        "slow mode in 1 of 3",
        _alike(_slow_mode),
        (1 - SLOW_SHARE + SLOW_SHARE * SLOW) * math.exp(SIGMA**2 / 2),
        _slow_mode_quantile,
        sizes=((6, 300), (10, 300), (20, 300)),
    ),
    Design("host drifts 30 %", _drifting, None, None, sizes=((10, 300), (20, 300))),
    Design(
        "queue at 70 %",
        _alike(_queue),
        1 / (1 - LOAD),
        lambda p: -math.log(1 - p) / (1 - LOAD),
        sizes=((20, 3000),),
        planted={(20, 3000): ("p50",)},
    ),
)
SEQUENTIAL = DESIGNS[3]
