"""What to change first: settings tried out in the simulation that the run calibrated.

One setting of one side is changed at a time, under the same arrivals. A change is advised where it
takes a tenth off the p95 at least; among several the one that takes most, and of those that do
about the same the one that costs least (fewer requests at a time before more instances). Nothing is
predicted that was not calibrated: neither by a simulation that misses the run's own p95 by more
than a fifth, nor for more or fewer requests at a time on one instance than the run has seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from twinserve.analysis.causes.values import Change
from twinserve.analysis.words import listed, share, time
from twinserve.deployment import Deployment

CONCURRENCIES = (1, 2, 4, 8, 16, 40, 80)
TIMES_THE_INSTANCES = (2, 4)
LEAST_GAIN = 0.10  # of p95
ALIKE = 0.05  # of p95: changes that do about the same
CALIBRATED_WITHIN = 0.20  # of the measured p95: what a calibrated simulation promises

# p95 of elapsed time in ms that a side would have under another deployment
Predict = Callable[[Deployment], float]


@dataclass(frozen=True)
class Tried:
    """One side as calibrated: ``predict`` simulates it under a deployment, ``measured_ms`` is the
    run's p95, ``least_at_a_time`` and ``most_at_a_time`` the requests on one instance at a time
    that it has seen often enough, ``had_cold`` whether requests waited for a start."""

    deployment: Deployment
    predict: Predict
    measured_ms: float
    least_at_a_time: int
    most_at_a_time: int
    had_cold: bool

    def is_calibrated_at(self, at_a_time: float) -> bool:
        return self.least_at_a_time <= at_a_time <= self.most_at_a_time


def advise(
    sides: Mapping[str, Tried], uncalibrated: Mapping[str, str]
) -> tuple[Change | None, str]:
    """The change to make first and a sentence on it; without one the sentence says why.

    ``uncalibrated`` says of each side that is not among ``sides`` why it cannot be simulated.
    """
    changes, refusals = [], [f"{name}: {why}" for name, why in uncalibrated.items()]
    for name, side in sides.items():
        before_ms = side.predict(side.deployment)
        if not abs(before_ms - side.measured_ms) <= CALIBRATED_WITHIN * side.measured_ms:
            refusals.append(
                f"{name}: the simulation gives a p95 of {time(before_ms)} where the run had "
                f"{time(side.measured_ms)}"
            )
            continue
        if not side.is_calibrated_at(side.most_at_a_time // TIMES_THE_INSTANCES[0] or 1):
            refusals.append(
                f"{name}: nearly all its requests met {side.least_at_a_time} or more at a time on "
                f"their instance, so how fast it is with fewer is not known"
            )
        changes += [change for change in [_best(name, side, before_ms)] if change]
    if changes:
        best = max(changes, key=lambda change: change.before_ms - change.after_ms)
        return best, _sentence(best, refusals)
    return None, _nothing(sides, refusals)


def _best(name: str, side: Tried, before_ms: float) -> Change | None:
    """The change of one side that takes most off its p95; of those alike the first."""
    found: list[Change] = [
        Change(
            side=name,
            change=words,
            measured_ms=side.measured_ms,
            before_ms=before_ms,
            after_ms=side.predict(deployment),
        )
        for words, deployment in _changes(side)
    ]
    worth = [each for each in found if each.after_ms <= (1 - LEAST_GAIN) * before_ms]
    if not worth:
        return None
    least_ms = min(each.after_ms for each in worth)
    return next(each for each in worth if each.after_ms <= least_ms + ALIKE * before_ms)


def _changes(side: Tried) -> Iterator[tuple[str, Deployment]]:
    """One setting changed at a time, what costs least first."""
    now = side.deployment
    takes = now.concurrency or math.inf
    fewer = [value for value in reversed(CONCURRENCIES) if value < takes]
    more = [value for value in CONCURRENCIES if value > takes]
    for value in filter(side.is_calibrated_at, (*fewer, *more)):
        yield f"concurrency {value} instead of {_at_a_time(now)}", replace(now, concurrency=value)
    if side.had_cold and not now.min_instances:
        yield "one instance kept at all times (min_instances 1)", replace(now, min_instances=1)
    for factor in TIMES_THE_INSTANCES:
        most = factor * now.max_instances
        yield (
            f"up to {most} instances instead of {now.max_instances}",
            replace(now, max_instances=most),
        )


def _at_a_time(deployment: Deployment) -> str:
    return str(deployment.concurrency) if deployment.concurrency else "any number"


def _sentence(change: Change, refusals: list[str]) -> str:
    but = f" Not predicted: {'; '.join(refusals)}." if refusals else ""
    return (
        f"On the {change.side}, with {change.change}, p95 falls from {time(change.before_ms)} to "
        f"{time(change.after_ms)} ({share(1 - change.after_ms / change.before_ms)}) at this load, "
        f"by a simulation that this run calibrated (it gives {time(change.before_ms)} where "
        f"{time(change.measured_ms)} was measured).{but}"
    )


def _nothing(sides: Mapping[str, Tried], refusals: list[str]) -> str:
    if refusals:
        return f"No gain is predicted, since this run does not calibrate it. {'; '.join(refusals)}."
    names = listed([f"the {name}'s" for name in sides])
    return (
        f"No single setting takes {share(LEAST_GAIN)} or more off {names} p95 at this load: "
        f"neither fewer requests at a time nor more instances, by a simulation that this run "
        f"calibrated."
    )
