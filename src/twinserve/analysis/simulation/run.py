"""Run a simulation: arrivals in, what came of them out, in time batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinserve.analysis.simulation import events, heap, meter, state
from twinserve.analysis.simulation.model import Model
from twinserve.analysis.simulation.world import check_room, new_world
from twinserve.errors import UsageError
from twinserve.workload import Arrivals, ClosedLoop
from twinserve.workload.arrivals import due_stream, user_starts_s

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
BATCHES = 20
NO_TIMES: Floats = np.empty(0)
SUMMED = ("latency_s", "wait_s", "busy_s", "life_s", "calls_s", "idle_s")
COUNTED = ("came", "answered", "refused", "cold", "instances")


@dataclass(frozen=True)
class Batch:
    """What happened in one stretch of simulated time.

    ``latency`` and ``wait`` are histograms over :func:`~.state.bin_times_s`; ``busy_s``,
    ``life_s``, ``calls_s`` and ``idle_s`` are billed instance time by request-based and
    instance-based billing, by call, and of idle minimum instances. ``cold`` requests waited for a
    start or were the first on their instance; ``instances`` were begun.
    """

    seconds: float
    came: int
    answered: int
    refused: int
    cold: int
    instances: int
    latency_s: float  # summed over answered requests
    wait_s: float
    at_a_time: float  # mean requests at a time, waiting ones included
    busy_s: float
    life_s: float
    calls_s: float
    idle_s: float
    latency: Ints
    wait: Ints


@dataclass(frozen=True)
class Result:
    """A whole simulation; ``longest_s`` is the longest latency, warm-up included."""

    batches: Sequence[Batch]
    longest_s: float

    def total(self, name: str) -> float:
        """A count or sum over all batches."""
        return float(sum(getattr(batch, name) for batch in self.batches))

    @property
    def seconds(self) -> float:
        return self.total("seconds")

    @property
    def mean_latency_s(self) -> float:
        return self.total("latency_s") / max(1.0, self.total("answered"))

    @property
    def mean_wait_s(self) -> float:
        return self.total("wait_s") / max(1.0, self.total("answered"))

    @property
    def cold_share(self) -> float:
        return self.total("cold") / max(1.0, self.total("came"))

    @property
    def refused_share(self) -> float:
        return self.total("refused") / max(1.0, self.total("came"))

    def latency_quantile_s(self, p: float) -> float:
        """Of answered requests, right to 0.4 %; NaN where there is none."""
        return quantile_s(sum((b.latency for b in self.batches), np.zeros(state.BINS, np.int64)), p)


def simulate(
    model: Model,
    arrivals: Arrivals,
    seconds: float,
    *,
    seed: int = 0,
    warmup_s: float = 0.0,
    batches: int = BATCHES,
    on_progress: Callable[[float], None] | None = None,
) -> Result:
    """So many seconds of traffic after a warm-up that is not counted.

    The same model, arrivals and seed give the same result. ``on_progress`` is told how many
    simulated seconds are done.

    Raises:
        UsageError: the time is not above 0, or more happens at a time than there is room for.
    """
    if not seconds > 0:
        raise UsageError(f"The simulated time is {seconds:g} s; it must be above 0.")
    play = Play(model, arrivals, seed)
    play.until(warmup_s)
    play.read()
    ends_s = warmup_s + seconds * (np.arange(batches) + 1) / batches
    found = []
    for end_s in ends_s.tolist():
        play.until(end_s)
        found.append(play.read())
        if on_progress:
            on_progress(end_s)
    return Result(found, float(play.world["longest_s"]))


def quantile_s(histogram: Ints, p: float) -> float:
    """The time below which a share ``p`` of a histogram lies."""
    counts = np.cumsum(histogram)
    if not counts[-1]:
        return float("nan")
    place = int(np.searchsorted(counts, p * counts[-1], side="left"))
    return float(state.bin_times_s()[min(place, state.BINS - 1)])


class Play:
    """A world, and the arrivals that it is fed with, a chunk at a time."""

    def __init__(self, model: Model, arrivals: Arrivals, seed: int, log: int = 0) -> None:
        closed = isinstance(arrivals, ClosedLoop)
        users = arrivals.users if isinstance(arrivals, ClosedLoop) else 0
        think_s = arrivals.think_s if isinstance(arrivals, ClosedLoop) else 0.0
        self.world = new_world(model, seed, users=users, think_s=think_s, log=log)
        self._model = model
        self._chunks: Iterator[Floats] = iter(())
        self._due, self._ended = NO_TIMES, closed
        self._before: dict[str, float] = {}
        if isinstance(arrivals, ClosedLoop):
            for user, at_s in enumerate(user_starts_s(users, arrivals.ramp_s)):
                heap.push(self.world, at_s, state.WAKES, user)
        else:
            self._chunks = due_stream(arrivals, np.random.default_rng([seed, 1]))

    def until(self, until_s: float) -> None:
        """Go on until that simulated moment."""
        while True:
            status = events.advance(self.world, self._due, self._ended, until_s)
            if status != events.NEEDS_ARRIVALS:
                check_room(status, self._model)
                return
            chunk = next(self._chunks, None)
            self._ended = chunk is None
            self._due = NO_TIMES if chunk is None else chunk
            self.world["arrival"] = 0

    def read(self) -> Batch:
        """What happened since it was read last."""
        now = self._totals()
        then = self._before or dict.fromkeys(now, 0.0)
        self._before = now
        change = {name: now[name] - then[name] for name in now}
        counts = {name: int(change[name]) for name in COUNTED}
        sums = {name: change[name] for name in SUMMED}
        latency, wait = self.world["latencies"].copy(), self.world["waits"].copy()
        self.world["latencies"][:] = 0
        self.world["waits"][:] = 0
        seconds = change["now_s"]
        at_a_time = change["at_a_time_s"] / seconds if seconds else 0.0
        fields: dict[str, Any] = {**counts, **sums}
        return Batch(seconds, at_a_time=at_a_time, latency=latency, wait=wait, **fields)

    def _totals(self) -> dict[str, float]:
        names = (*COUNTED, "latency_s", "wait_s", "now_s", "at_a_time_s")
        bill = zip(("busy_s", "life_s", "calls_s", "idle_s"), meter.bill(self.world), strict=True)
        return {name: float(self.world[name]) for name in names} | dict(bill)
