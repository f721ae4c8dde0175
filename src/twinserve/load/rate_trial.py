"""One side under requests at a given rate, for as long as it takes to tell whether it keeps up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from twinserve.load.in_flight import InFlight, most_in_flight
from twinserve.load.plan import Request, draw_requests
from twinserve.load.sender import Clock, Sender, Target
from twinserve.records.samples import Phase, Sample
from twinserve.workload import Ask, Poisson
from twinserve.workload.arrivals import due_times

GIVE_UP_S = 2.0  # after the limit; what is not answered then is slow, however long it would take
RECOVERS_WITHIN_S = 30.0
LOST = 0.5  # of all requests: when so many are too slow, the rest need not be sent


@dataclass(frozen=True)
class RateLoad:
    """What one load asks: ``rate_rps`` for ``seconds``, cut into ``blocks`` by due time."""

    side: str
    url: str
    number: int  # of the load in its run
    rate_rps: float
    seconds: float
    blocks: int
    limit_ms: float
    mix: Sequence[Ask]
    seed: int

    def due_s(self) -> list[float]:
        rng = np.random.default_rng([self.seed, self.number])
        return [float(at) for at in due_times(Poisson(rate_rps=self.rate_rps), self.seconds, rng)]

    def requests(self) -> Iterator[Request]:
        return draw_requests(self.mix, self.seed, self.number)


@dataclass(frozen=True)
class RateSeen:
    """What came of it: slow and all requests of each block, and how late they were sent."""

    blocks: list[tuple[int, int]]
    late_ms: float
    is_whole: bool  # False where so much was too slow that the rest was not sent


class RateTrial:
    """Sends loads; every row goes to ``on_sample``, what was given up included."""

    def __init__(self, sender: Sender, clock: Clock, on_sample: Callable[[Sample], None]) -> None:
        self._sender = sender
        self._clock = clock
        self._on_sample = on_sample
        self._most_in_flight = most_in_flight()

    async def run(self, load: RateLoad) -> RateSeen:
        """Send one load; returns when all of its requests are answered or given up."""
        seen = _Seen(load)
        asked = load.requests()
        due_s = load.due_s()
        start_us = self._clock.now_us()
        async with asyncio.TaskGroup() as tasks:
            for at_s in due_s:
                due_us = start_us + round(at_s * 1e6)
                await asyncio.sleep((due_us - self._clock.now_us()) / 1e6)
                if seen.is_lost(len(due_s)) or seen.in_flight.count >= self._most_in_flight:
                    break
                tasks.create_task(self._one(load, seen, next(asked), at_s, due_us))
        return seen.result(is_whole=seen.sent == len(due_s))

    async def recover(self, side: str, url: str, limit_ms: float) -> bool:
        """Wait until a request is answered in time again; False where that takes too long."""
        end_us = self._clock.now_us() + RECOVERS_WITHIN_S * 1e6
        while self._clock.now_us() < end_us:
            outcome = await self._sender.send(Target(side, url, Phase.WARMUP), 1, 0)
            self._on_sample(outcome.sample)
            if outcome.sample.success and outcome.sample.elapsed_ms <= limit_ms:
                return True
            await asyncio.sleep(0.2)
        return False

    async def _one(
        self, load: RateLoad, seen: _Seen, request: Request, at_s: float, due_us: int
    ) -> None:
        user = seen.in_flight.take()
        seen.sent += 1
        target = Target(load.side, load.url, Phase.SEARCH, load.number, user, user + 1)
        sent_us = self._clock.now_us()
        try:
            async with asyncio.timeout(load.limit_ms / 1000 + GIVE_UP_S):
                outcome = await self._sender.send(
                    target,
                    request.images,
                    request.seed,
                    due_us,
                    format=request.format,
                    body=request.body,
                )
                sample = outcome.sample
        except TimeoutError:
            sample = self._given_up(load, target, request, due_us, sent_us)
        seen.in_flight.give_back(user)
        seen.note(at_s, sample)
        self._on_sample(sample)

    def _given_up(
        self, load: RateLoad, target: Target, request: Request, due_us: int, sent_us: int
    ) -> Sample:
        return Sample(
            side=target.side,
            phase=target.phase,
            block=target.block,
            user=target.user,
            users=target.users,
            url=f"{target.url}/generate",
            images=request.images,
            seed=request.seed,
            format=request.format,
            started_epoch_ms=self._clock.started_epoch_ms,
            due_us=due_us,
            sent_us=sent_us,
            connected_us=None,
            first_byte_us=None,
            done_us=self._clock.now_us(),
            status=0,
            reason="",
            failure=f"given up {GIVE_UP_S:g} s after the limit of {load.limit_ms:g} ms",
            received_bytes=0,
            sent_bytes=0,
        )


@dataclass
class _Seen:
    """Counts while a load runs."""

    load: RateLoad
    in_flight: InFlight = field(default_factory=InFlight)
    sent: int = 0
    slow: int = 0
    counts: dict[int, tuple[int, int]] = field(default_factory=dict)
    late_ms: list[float] = field(default_factory=list)

    def note(self, at_s: float, sample: Sample) -> None:
        is_slow = not sample.success or sample.elapsed_ms > self.load.limit_ms
        place = min(int(at_s / self.load.seconds * self.load.blocks), self.load.blocks - 1)
        slow, all_ = self.counts.get(place, (0, 0))
        self.counts[place] = slow + is_slow, all_ + 1
        self.slow += is_slow
        self.late_ms.append((sample.sent_us - sample.due_us) / 1000)

    def is_lost(self, planned: int) -> bool:
        return self.slow > LOST * planned

    def result(self, is_whole: bool) -> RateSeen:
        late_ms = median(self.late_ms) if self.late_ms else 0.0
        return RateSeen([self.counts[k] for k in sorted(self.counts)], late_ms, is_whole)
