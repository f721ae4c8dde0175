"""Simulated logs: rows in a row, without blocks, from one occasion each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from interval_designs import SIGMA, Rows
from scipy.signal import lfilter

from twinserve.analysis import statistics
from twinserve.analysis.logs import batch_starts
from twinserve.analysis.statistics import Finding
from twinserve.analysis.trend import trend

OCCASION_SIGMA = 0.04  # of the logarithm of a log's level
OCCASION_ROWS, OCCASION_CORRELATION = 3000, 0.5
ALLOWANCE = 0.15
DRIFT = 0.3
SPREAD = 0.2  # of the logarithm of a time, in logs that drift


@dataclass(frozen=True)
class Log:
    """So many rows, whose logarithm is AR(1) with this correlation."""

    rows: int
    correlation: float


@dataclass
class Drifts:
    """Counts over many logs: ``alarms`` and ``undetermined`` of logs without a drift, ``found`` of
    the same logs with one."""

    alarms: int = 0
    undetermined: int = 0
    found: int = 0


LOGS = tuple(Log(rows, phi) for rows in (300, 3000) for phi in (0.0, 0.5, 0.9))


def two_occasions(seeds: int) -> dict[str, int]:
    """How often p95 names a winner, as the intervals are and widened by the allowance."""
    named = {"as they are": 0, f"widened by {100 * ALLOWANCE:g} %": 0}
    for seed in range(seeds):
        rng = np.random.default_rng([seed, OCCASION_ROWS])
        first, second = (_batches(_occasion(rng)) for _ in range(2))
        difference = statistics.difference_of_quantiles(first, second, 0.95)
        ends = [statistics.quantile_interval(side, 0.95).estimate for side in (first, second)]
        wide = statistics.widened(difference, *ends, ALLOWANCE)
        for name, interval in zip(named, (difference, wide), strict=True):
            finding = statistics.classify(interval, ends[1])
            named[name] += finding in (Finding.FIRST, Finding.SECOND)
    return named


def drifts(log: Log, seeds: int) -> Drifts:
    """What the trend test says of ``seeds`` logs, first steady, then rising by 30 %."""
    seen = Drifts()
    rise = np.linspace(1, 1 + DRIFT, log.rows)
    for seed in range(seeds):
        rng = np.random.default_rng([seed, log.rows, round(100 * log.correlation)])
        steady = 100 * np.exp(SPREAD * _series(rng, log))
        found, rising = trend(steady), trend(steady * rise)
        seen.undetermined += found is None
        seen.alarms += found is not None and found.is_significant
        seen.found += rising is not None and rising.is_significant
    return seen


def _occasion(rng: np.random.Generator) -> Rows:
    level = math.exp(OCCASION_SIGMA * rng.normal())
    log = Log(OCCASION_ROWS, OCCASION_CORRELATION)
    times: Rows = 100 * level * np.exp(SIGMA * _series(rng, log))
    return times


def _batches(times: Rows) -> list[Rows]:
    return np.split(times, batch_starts(times.size)[1:])


def _series(rng: np.random.Generator, log: Log) -> Rows:
    """A stationary AR(1) of variance 1."""
    phi = log.correlation
    noise = rng.normal(0, math.sqrt(1 - phi**2), log.rows)
    noise[0] /= math.sqrt(1 - phi**2)
    series: Rows = lfilter([1.0], [1.0, -phi], noise)
    return series
