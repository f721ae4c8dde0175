"""How a deployment scales: pure rules, no clock and no I/O.

The gateway and the simulation ask the same functions, so that a simulated answer follows the rules
of the measured one. Source: Google Cloud, "About instance autoscaling for Cloud Run services".
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

LEAST_WAIT_S = 10.0
WAIT_PER_START = 3.5


def instances_wanted(
    in_flight: int, queued: int, *, concurrency: int, min_instances: int, max_instances: int
) -> int:
    """How many instances should run or be starting.

    As few as can hold every request at once at ``concurrency`` each, within the two limits. Cloud
    Run's aim of 60 % of that over a minute is left out: with a few instances on one machine it
    would start the second one early, and nothing else.
    """
    needed = ceil((in_flight + queued) / concurrency)
    return min(max(needed, min_instances), max_instances)


def instances_to_stop(
    idle_s: Mapping[str, float], *, ready: int, min_instances: int, idle_limit_s: float
) -> tuple[str, ...]:
    """Which idle instances to stop, the one idle longest first (ties in the mapping's order).

    Args:
        idle_s: seconds without a request of every instance that has none.
        ready: instances that can answer, busy or idle; those still starting do not count.
        min_instances: so many stay ready.
        idle_limit_s: an instance idle for longer may go.
    """
    overdue = [instance for instance, seconds in idle_s.items() if seconds > idle_limit_s]
    longest_first = sorted(overdue, key=lambda instance: -idle_s[instance])
    return tuple(longest_first[: max(ready - min_instances, 0)])


def wait_limit_s(mean_start_s: float | None) -> float:
    """How long a request may wait when no more can start: max(3.5 x mean start-up, 10 s)."""
    return max(WAIT_PER_START * (mean_start_s or 0.0), LEAST_WAIT_S)


def may_wait_on(waited_s: float, *, starting: int, mean_start_s: float | None) -> bool:
    """Whether a queued request stays queued; if not, it is answered 429.

    While an instance is starting it may: a start has its own deadline. ``waited_s`` counts from the
    request's arrival or from the last time an instance became ready, whichever was later, because
    the wait for a start is not a wait behind full instances.
    """
    return starting > 0 or waited_s <= wait_limit_s(mean_start_s)
