"""When requests are due: pure, seeded, the same for the same generator on every machine.

Every open loop here is a stream of unit-rate points that is stretched by the inverse of the
cumulative rate (time rescaling: a Poisson process of rate 1, mapped through the inverse of the
rate's integral, is a Poisson process of that rate; Daley and Vere-Jones, An Introduction to the
Theory of Point Processes, 7.4). So rates that change, silence included, are exact, not stepped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twinserve.workload.description import Bursts, Constant, Day, OpenLoop, Poisson, Trace

CHUNK = 16_384

Floats = NDArray[np.float64]


def due_times(arrivals: OpenLoop, seconds: float, rng: np.random.Generator) -> Floats:
    """Every due time before ``seconds``, in seconds from 0, ascending.

    The times before a second do not depend on how many follow: a longer list from an equal
    generator begins with the shorter one.
    """
    parts = [np.empty(0)]
    for chunk in due_stream(arrivals, rng):
        parts.append(chunk[chunk < seconds])
        if parts[-1].size < chunk.size:
            break
    return np.concatenate(parts)


def due_stream(arrivals: OpenLoop, rng: np.random.Generator) -> Iterator[Floats]:
    """Due times without end in chunks of up to :data:`CHUNK`, in memory that does not grow.

    A trace ends with its last time; what is never due (a rate of 0) ends at once.
    """
    if isinstance(arrivals, Trace):
        times_s = np.asarray(arrivals.times_s, dtype=float)
        yield from (times_s[at : at + CHUNK] for at in range(0, times_s.size, CHUNK))
        return
    period = _period(arrivals)
    if period.mass <= 0:
        return
    points = _even_points() if isinstance(arrivals, Constant) else _poisson_points(rng)
    for chunk in points:
        yield period.times_s(chunk)


def user_starts_s(users: int, ramp_s: float) -> list[float]:
    """When each user of a closed loop begins: evenly over the ramp, as JMeter starts threads."""
    return [ramp_s * user / users for user in range(users)]


@dataclass(frozen=True)
class _Period:
    """A rate that is constant in pieces and repeats: each piece's begin, length and rate."""

    starts_s: Floats
    lengths_s: Floats
    rates_rps: Floats
    period_s: float

    @property
    def mass(self) -> float:
        """Requests expected in one period."""
        return float(self.lengths_s @ self.rates_rps)

    def times_s(self, points: Floats) -> Floats:
        """Where the cumulative rate reaches each point."""
        busy = self.rates_rps > 0
        starts_s, rates_rps = self.starts_s[busy], self.rates_rps[busy]
        masses = self.lengths_s[busy] * rates_rps
        before = np.concatenate([[0.0], np.cumsum(masses)[:-1]])
        turn, rest = np.divmod(points, masses.sum())
        piece = np.searchsorted(before, rest, side="right") - 1
        inner_s = starts_s[piece] + (rest - before[piece]) / rates_rps[piece]
        times: Floats = turn * self.period_s + inner_s
        return times


def _period(arrivals: Constant | Poisson | Bursts | Day) -> _Period:
    if isinstance(arrivals, Bursts):
        lengths_s = np.array([arrivals.lasts_s, arrivals.every_s - arrivals.lasts_s])
        return _pieces(lengths_s, np.array([arrivals.burst_rps, arrivals.rate_rps]))
    if isinstance(arrivals, Day):
        hours = np.asarray(arrivals.hours, dtype=float)
        days = np.asarray(arrivals.week or (1.0,), dtype=float)
        weights = np.outer(days / days.mean(), hours / hours.mean()).ravel()
        lengths_s = np.full(weights.size, arrivals.day_s / hours.size)
        return _pieces(lengths_s, arrivals.rate_rps * weights)
    return _pieces(np.ones(1), np.array([arrivals.rate_rps]))


def _pieces(lengths_s: Floats, rates_rps: Floats) -> _Period:
    ends_s = np.cumsum(lengths_s)
    return _Period(ends_s - lengths_s, lengths_s, rates_rps, float(ends_s[-1]))


def _even_points() -> Iterator[Floats]:
    for first in itertools.count(0, CHUNK):
        yield np.arange(first, first + CHUNK, dtype=float)


def _poisson_points(rng: np.random.Generator) -> Iterator[Floats]:
    """A Poisson process of rate 1: sums of exponential gaps."""
    last = 0.0
    while True:
        points = last + np.cumsum(rng.standard_exponential(CHUNK))
        last = float(points[-1])
        yield points
