"""``--find-rate``: the highest rate of requests at which each side keeps an objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from twinserve.analysis.latency_limit import parse_latency_limit
from twinserve.cli.comparing.loading import run_plainly, together
from twinserve.cli.comparing.recording import Recorder
from twinserve.cli.comparing.watching import NOTHING_HERE, Watch
from twinserve.cli.progress import Meter, progress
from twinserve.errors import UsageError
from twinserve.load.equality import check_equality
from twinserve.load.limits import LimitReached
from twinserve.load.rate_trial import RateLoad, RateTrial
from twinserve.load.sender import Sender, Target
from twinserve.records.lines import not_written
from twinserve.records.samples import Phase
from twinserve.workload import Workload

if TYPE_CHECKING:
    from twinserve.analysis.rates import RateObjective, Rates, Search

BLOCKS = 10  # of one load
LEAST_S, MOST_S = 10.0, 60.0  # how long one load takes
TWICE = 2.0  # as many requests as would do if none of them were slow
PROBES = 8
FIRST_SHARE = 0.5  # of what one request at a time would allow
LATE_MS, LATE_SHARE = 5.0, 0.1  # of the limit: requests sent later than that say little


class ObjectiveType(click.ParamType[tuple[float, float]]):
    """A quantile and its limit in ms, written as ``p95<500ms``."""

    name = "objective"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        limit = parse_latency_limit(str(value))
        if limit is None:
            self.fail(f"{value!r} is no objective; write p95<500ms or p99<2s.", param, ctx)
        return limit


def find_rate_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--find-rate",
        type=ObjectiveType(),
        metavar="OBJECTIVE",
        help='Instead of comparing: the highest rate at which each side keeps e.g. "p95<500ms". '
        "--duration is then the length of one of its loads.",
    )(function)


@dataclass(frozen=True)
class RateSearch:
    """What all loads share; ``load_s`` is how long each takes, None: as long as it needs.

    ``most_rps`` is where the search ends upwards.
    """

    objective: RateObjective
    workload: Workload
    load_s: float | None
    most_rps: float = 10_000.0

    @property
    def said(self) -> str:
        from twinserve.analysis.rates import MOST_LOADS

        each = f"{self.load_s:g} s" if self.load_s else f"{LEAST_S:g} to {MOST_S:g} s"
        longest = 2 * MOST_LOADS * ((self.load_s or MOST_S) + self.objective.limit_ms / 1000 + 2)
        return (
            f"Searching the highest rate at which each side keeps {self.objective.described()}: up "
            f"to {MOST_LOADS} loads a side of {each} each, at random times (Poisson); a few "
            f"minutes, at most {longest / 60:.0f}."
        )


def chosen_search(
    objective: tuple[float, float], workload: Workload, load_s: float | None, most_rps: float
) -> RateSearch:
    """The search as the options ask for it.

    Raises:
        UsageError: a load would be too short to tell anything.
    """
    from twinserve.analysis.rates import RateObjective

    if load_s is not None and load_s < 1:
        raise UsageError(f"--duration is {load_s:g} s; one load of a search takes at least 1 s.")
    return RateSearch(RateObjective(*objective), workload, load_s, most_rps)


def search_rates(
    search: RateSearch,
    recorder: Recorder,
    sender: Sender,
    urls: Mapping[str, str],
    least_psnr_db: float | None,
    watch: Watch = NOTHING_HERE,
) -> Rates:
    """Load both sides in turn until each one's limit is known; ``rates.json`` grows with it.

    Raises:
        TwinserveError: a side, the load generator or the disk gave out.
    """
    from twinserve.analysis.rates import MOST_LOADS

    with progress("Search", 2 * MOST_LOADS) as meter:
        running = _Running(search, recorder, dict(urls), least_psnr_db, watch, meter)
        return run_plainly(running.run(sender))


@dataclass
class _Running:
    search: RateSearch
    recorder: Recorder
    urls: Mapping[str, str]
    least_psnr_db: float | None
    watch: Watch
    meter: Meter
    number: int = 0

    async def run(self, sender: Sender) -> Rates:
        self.meter.update(0, "starting both sides from zero, comparing their answers")
        await self._check_equality(sender)
        await self.watch.until_settled(self.meter, 0)
        trial = RateTrial(sender, self.recorder.clock, self.recorder.add)
        searches = {side: await self._search(sender, side) for side in self.urls}
        try:
            while await self._round(trial, searches):
                pass
        except LimitReached as reached:
            for each in searches.values():
                each.stopped = each.stopped or str(reached).rstrip(".")
        return self._written(searches)

    async def _round(self, trial: RateTrial, searches: Mapping[str, Search]) -> bool:
        """One load of each side that has not ended; False when both have."""
        going = False
        for side, search in searches.items():
            rate_rps = search.next_rps()
            if rate_rps is not None:
                going = True
                await self._load(trial, side, search, rate_rps)
                self._written(searches)
        return going

    async def _load(self, trial: RateTrial, side: str, search: Search, rate_rps: float) -> None:
        self.meter.update(self.number, f"{side} at {rate_rps:g} requests a second")
        objective = self.search.objective
        seen = await trial.run(self._asked(side, rate_rps))
        self.number += 1
        self.watch.check()
        if seen.late_ms > max(LATE_MS, LATE_SHARE * objective.limit_ms) and seen.is_whole:
            search.stopped = (
                f"at {rate_rps:g} requests a second they were sent {seen.late_ms:.0f} ms late: "
                f"the load generator could go no further"
            )
            return
        search.add(rate_rps, seen.blocks, seen.late_ms)
        if not await trial.recover(side, self.urls[side], objective.limit_ms):
            search.stopped = f"after {rate_rps:g} requests a second the {side} did not recover"

    def _asked(self, side: str, rate_rps: float) -> RateLoad:
        from twinserve.analysis.rates import requests_needed

        needed_s = TWICE * requests_needed(self.search.objective.allowed) / rate_rps
        return RateLoad(
            side=side,
            url=self.urls[side],
            number=self.number,
            rate_rps=rate_rps,
            seconds=self.search.load_s or min(max(LEAST_S, needed_s), MOST_S),
            blocks=BLOCKS,
            limit_ms=self.search.objective.limit_ms,
            mix=self.search.workload.mix,
            seed=self.search.workload.seed,
        )

    async def _search(self, sender: Sender, side: str) -> Search:
        """Begins at half of what one request at a time would allow."""
        from twinserve.analysis.rates import Search

        times_ms = []
        for seed in range(PROBES):
            target = Target(side, self.urls[side], Phase.WARMUP)
            outcome = await sender.send(target, self.search.workload.mix[0].images, seed)
            self.recorder.add(outcome.sample)
            times_ms.append(outcome.sample.elapsed_ms)
        first_rps = min(FIRST_SHARE * 1000 / median(times_ms), self.search.most_rps)
        objective = self.search.objective
        return Search(float(f"{first_rps:.3g}"), objective.allowed, self.search.most_rps)

    async def _check_equality(self, sender: Sender) -> None:
        found = await check_equality(
            sender, self.urls, lambda outcome: self.recorder.add(outcome.sample), self.least_psnr_db
        )
        self.recorder.manifest.equality = together(None, found)
        self.recorder.save()
        if found.equal < found.requests:
            raise UsageError(
                f"The two sides do not answer alike ({found.detail}), so their rates cannot be "
                f"compared. Let both run the same model with the same arithmetic."
            )

    def _written(self, searches: Mapping[str, Search]) -> Rates:
        from twinserve.analysis.rates import Rates, write_rates

        rates = Rates(
            objective=self.search.objective.described(),
            sides={side: search.result() for side, search in searches.items()},
        )
        try:
            write_rates(self.recorder.run.rates, rates)
        except OSError as error:
            raise not_written(self.recorder.run.path, error) from error
        return rates
