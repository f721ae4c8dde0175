"""Every traffic at once: both sides simulated over rates, the cheaper one, where the two cross.

Each point is simulated at three corners of the band that lies between here and a cloud. A choice
that differs between them is not clear.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from twinserve.analysis.comparison import EITHER, NEITHER
from twinserve.analysis.cost.bill import bill, plans_of, total
from twinserve.analysis.cost.elsewhere import Elsewhere
from twinserve.analysis.cost.month import MONTH_S, quantities_of
from twinserve.analysis.cost.pricing import PriceBook, Rates
from twinserve.analysis.latency_limit import parse_latency_limit
from twinserve.analysis.simulation.model import Model
from twinserve.analysis.simulation.run import Result, simulate
from twinserve.analysis.statistics import EQUIVALENCE
from twinserve.errors import UsageError
from twinserve.scaling.billing import Mode
from twinserve.workload import Bursts, Poisson

SCHEMA_VERSION = 1
POINTS_A_DECADE = 3
REQUESTS = 30_000  # of a point, where that takes no longer than a month
LEAST_S, MOST_S = 4 * 3600.0, MONTH_S
BURST_EVERY_S, BURST_SHARE = 600.0, 0.1
MOST_BURSTINESS = 1 / BURST_SHARE
UNCLEAR = "unclear"
CORNERS = ("low", "likely", "high")
PERCENTILES = (0.5, 0.9, 0.95, 0.99)


class Objective(msgspec.Struct, frozen=True):
    """What every answer must keep to: a quantile of the latency, and few refused requests."""

    p: float
    most_s: float
    refused_most: float = 0.01

    @property
    def words(self) -> str:
        return f"p{100 * self.p:g} < {self.most_s:g} s"


class Seen(msgspec.Struct, frozen=True):
    """One side at one point and corner; money is of a month, by its cheapest plan there."""

    month: float
    plan: str
    p50_s: float
    p95_s: float
    objective_s: float
    cold_share: float
    refused_share: float
    instances: float  # mean alive
    meets: bool


class Point(msgspec.Struct, frozen=True):
    """One rate and burstiness: side -> corner -> what was seen; who is the choice."""

    rate_rps: float
    burstiness: float
    sides: dict[str, dict[str, Seen]]
    choices: dict[str, str]  # corner -> choice
    choice: str


class Crossing(msgspec.Struct, frozen=True):
    """The choice goes from one side to another: at ``rate_rps``, between ``low`` and ``high``."""

    burstiness: float
    before: str
    after: str
    rate_rps: float | None
    low: float
    high: float


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What `twinserve simulate` writes to ``simulation.json``."""

    schema_version: int = SCHEMA_VERSION
    sides: tuple[str, str]
    currency: str
    region: str
    prices_of: str
    free_tier: bool
    objective: Objective
    elsewhere: Elsewhere
    seed: int
    simulated_requests: int
    points: list[Point]
    crossings: list[Crossing]
    notes: list[str]


@dataclass(frozen=True)
class Question:
    """What is swept: rates, burstinesses (1: Poisson), and under which rule a side is chosen."""

    low_rps: float
    high_rps: float
    burstiness: Sequence[float]
    objective: Objective
    free_tier: bool = True
    seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for value in self.burstiness:
            if not 1 <= value <= MOST_BURSTINESS:
                raise UsageError(
                    f"A burstiness is {value:g}; allowed is 1 (requests that know nothing of each "
                    f"other) to {MOST_BURSTINESS:g} (all of them within a tenth of the time)."
                )

    def rates(self) -> list[float]:
        """Evenly spaced on a logarithmic scale, both ends included."""
        decades = math.log10(self.high_rps / self.low_rps)
        count = max(1, math.ceil(decades * POINTS_A_DECADE - 1e-9))
        if self.low_rps == self.high_rps:
            return [self.low_rps]
        return [float(f"{r:.4g}") for r in np.geomspace(self.low_rps, self.high_rps, count + 1)]

    @property
    def size(self) -> int:
        """How many simulations it takes."""
        return len(self.rates()) * len(self.burstiness) * 2 * len(CORNERS)


def parse_objective(text: str) -> Objective:
    """``p95<1s``.

    Raises:
        UsageError: it is none.
    """
    limit = parse_latency_limit(text)
    if limit is None or limit[0] not in PERCENTILES:
        raise UsageError(
            f"The objective is {text!r}; write p50, p90, p95 or p99 with a time, as p95<1s."
        )
    p, limit_ms = limit
    return Objective(p, limit_ms / 1000)


def arrivals_of(rate_rps: float, burstiness: float) -> Poisson | Bursts:
    """Traffic of that mean rate; ``burstiness`` is how many times the mean a burst has, a minute
    in every ten."""
    if burstiness == 1:
        return Poisson(rate_rps=rate_rps)
    quiet_rps = rate_rps * (1 - burstiness * BURST_SHARE) / (1 - BURST_SHARE)
    return Bursts(
        rate_rps=max(0.0, quiet_rps),
        burst_rps=rate_rps * burstiness,
        every_s=BURST_EVERY_S,
        lasts_s=BURST_EVERY_S * BURST_SHARE,
    )


def sweep(
    models: Mapping[str, Model],
    book: PriceBook,
    elsewhere: Elsewhere,
    question: Question,
    *,
    region: str = "",
    on_progress: Callable[[int, str], None] | None = None,
) -> Sweep:
    """Both sides over every rate and burstiness; ``on_progress`` is told of each simulation.

    Raises:
        UsageError: no plan has prices in that region.
    """
    region = region or book.default_region
    plans = {name: plans_of(each.deployment, book, region)[0] for name, each in models.items()}
    points, requests, done = [], 0, 0
    for burstiness in question.burstiness:
        for rate_rps in question.rates():
            sides: dict[str, dict[str, Seen]] = {name: {} for name in models}
            for name, model in models.items():
                for corner, (cpu_factor, start_s) in elsewhere.corners().items():
                    if on_progress:
                        on_progress(done, f"{name} at {rate_rps:g}/s")
                    there = replace(model, behaviour=model.behaviour.elsewhere(cpu_factor, start_s))
                    result = _simulated(there, rate_rps, burstiness, question)
                    requests += int(result.total("came"))
                    done += 1
                    sides[name][corner] = _seen(there, result, plans[name], question)
            points.append(_point(rate_rps, burstiness, sides))
    first, second = models
    return Sweep(
        sides=(first, second),
        currency=book.currency,
        region=region,
        prices_of=book.date,
        free_tier=question.free_tier,
        objective=question.objective,
        elsewhere=elsewhere,
        seed=question.seed,
        simulated_requests=requests,
        points=points,
        crossings=crossings(points, (first, second)),
        notes=[],
    )


def crossings(points: Sequence[Point], sides: tuple[str, str]) -> list[Crossing]:
    """Where a clear choice is followed, along the rate, by another clear one."""
    found = []
    for burstiness in dict.fromkeys(point.burstiness for point in points):
        own = [point for point in points if point.burstiness == burstiness]
        clear = [k for k, point in enumerate(own) if point.choice in sides]
        for k, following in itertools.pairwise(clear):
            before, after = own[k], own[following]
            if before.choice != after.choice:
                rate = _crossing_rate(own[k : following + 1], sides)
                found.append(
                    Crossing(
                        burstiness,
                        before.choice,
                        after.choice,
                        rate,
                        before.rate_rps,
                        after.rate_rps,
                    )
                )
    return found


def _crossing_rate(points: Sequence[Point], sides: tuple[str, str]) -> float | None:
    """Where the likely costs are equal, on logarithmic scales between two points."""
    first, second = sides
    ratios = [
        math.log(
            max(point.sides[first]["likely"].month, 1e-9)
            / max(point.sides[second]["likely"].month, 1e-9)
        )
        for point in points
    ]
    for k, (a, b) in enumerate(itertools.pairwise(ratios)):
        if a * b <= 0 and a != b:
            x, y = (math.log(points[k + j].rate_rps) for j in (0, 1))
            return float(f"{math.exp(x + (y - x) * a / (a - b)):.4g}")
    return None


def _simulated(model: Model, rate_rps: float, burstiness: float, question: Question) -> Result:
    seconds = question.seconds or min(max(REQUESTS / rate_rps, LEAST_S), MOST_S)
    warmup_s = max(model.deployment.idle_s, 600.0)
    arrivals = arrivals_of(rate_rps, burstiness)
    return simulate(model, arrivals, seconds, seed=question.seed, warmup_s=warmup_s)


def _seen(model: Model, result: Result, plans: Sequence[Rates], question: Question) -> Seen:
    months = {
        rates.plan.name: total(bill(rates, month_of(model, result, rates), question.free_tier))
        for rates in plans
    }
    cheapest = min(months, key=lambda name: months[name])
    objective_s = result.latency_quantile_s(question.objective.p)
    meets = objective_s <= question.objective.most_s
    return Seen(
        month=months[cheapest],
        plan=cheapest,
        p50_s=result.latency_quantile_s(0.5),
        p95_s=result.latency_quantile_s(0.95),
        objective_s=objective_s,
        cold_share=result.cold_share,
        refused_share=result.refused_share,
        instances=result.total("life_s") / result.seconds,
        meets=meets and result.refused_share <= question.objective.refused_most,
    )


def month_of(model: Model, result: Result, rates: Rates) -> dict[str, float]:
    """A month's quantities of what was simulated, under one plan."""
    scale = MONTH_S / result.seconds
    mode = rates.plan.mode
    seconds = {
        Mode.REQUEST: ("busy_s", "idle_s"),
        Mode.INSTANCE: ("life_s", None),
        Mode.FIRST_GEN: ("calls_s", "idle_s"),
    }
    used, idle = seconds[mode]
    requests = scale * result.total("answered")
    return quantities_of(
        mode,
        model.deployment,
        scale * result.total(used),
        scale * result.total(idle) if idle else 0.0,
        requests,
        requests * model.behaviour.egress_bytes,
    )


def _point(rate_rps: float, burstiness: float, sides: dict[str, dict[str, Seen]]) -> Point:
    choices = {
        corner: _choice({name: seen[corner] for name, seen in sides.items()})
        for corner in next(iter(sides.values()))
    }
    distinct = set(choices.values())
    choice = distinct.pop() if len(distinct) == 1 else UNCLEAR
    return Point(rate_rps, burstiness, sides, choices, choice)


def _choice(seen: Mapping[str, Seen]) -> str:
    """The cheaper of the sides that meet the objective; within 10 % either will do."""
    meeting = {name: each.month for name, each in seen.items() if each.meets}
    if not meeting:
        return NEITHER
    cheapest = min(meeting, key=lambda name: meeting[name])
    if len(meeting) > 1 and max(meeting.values()) <= (1 + EQUIVALENCE) * meeting[cheapest]:
        return EITHER
    return cheapest
