"""How a deployment scales under its policy: what was observed in, what to do out.

Pure: no clock, no I/O. The gateway and the simulation ask the same function, so that a simulated
answer follows the rules of the measured one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from twinserve.deployment import Deployment
from twinserve.scaling.policy import AnyPolicy, FixedPolicy, Policy, TargetsPolicy, WindowsPolicy

LEAST_WINDOW = 1 / 60  # of the policy's own window


class State(StrEnum):
    """``STARTING``: takes no request yet; ``READY``: takes them; ``STOPPING``: takes no more."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@dataclass(frozen=True)
class InstanceSeen:
    """One instance that is not stopping; ``idle_s`` is how long it has had no request."""

    name: str
    state: State
    in_flight: int = 0
    idle_s: float = 0.0


@dataclass(frozen=True)
class Seen:
    """What a deployment is doing now, and did over the policy's windows.

    ``load`` and ``panic_load`` are averages of the requests at a time, waiting ones included, over
    the long and the short window (:func:`windows`); ``cpu_busy`` of the CPUs in use, None where
    nobody measures it. ``waits_s`` is how long each queued request has waited behind full
    instances: since it came, or since the last instance became ready, whichever was later.
    """

    now_s: float
    instances: Sequence[InstanceSeen] = ()
    waits_s: Sequence[float] = ()
    load: float = 0.0
    panic_load: float = 0.0
    cpu_busy: float | None = None
    mean_start_s: float | None = None

    @property
    def in_flight(self) -> int:
        return sum(each.in_flight for each in self.instances)

    @property
    def demand(self) -> int:
        return self.in_flight + len(self.waits_s)

    def count(self, state: State) -> int:
        return sum(each.state is state for each in self.instances)


@dataclass(frozen=True)
class Memory:
    """What a policy keeps from one decision to the next."""

    decided_s: float = -math.inf
    wanted: int = 0
    panic_s: float | None = None  # when panic was last seen; None: not in panic
    panic_most: int = 0
    unwanted_s: float | None = None  # since when no instance is wanted


@dataclass(frozen=True)
class Decision:
    """``wanted`` instances should run or be starting, those named in ``stop`` stop now, and queued
    requests that have waited longer than ``wait_most_s`` are refused: ``refused`` of them."""

    wanted: int
    stop: tuple[str, ...]
    wait_most_s: float
    refused: int
    memory: Memory


@dataclass(frozen=True)
class Windows:
    """Over which times the policy averages; ``since_first`` leaves out the time before there was
    anything to do."""

    load_s: float
    panic_s: float
    since_first: bool


def decide(policy: AnyPolicy, deployment: Deployment, seen: Seen, memory: Memory) -> Decision:
    """What the policy does about what was seen."""
    if isinstance(policy, TargetsPolicy):
        return _by_targets(policy, deployment, seen)
    if isinstance(policy, WindowsPolicy):
        return _by_windows(policy, deployment, seen, memory)
    return _fixed(policy, deployment, seen)


def windows(policy: AnyPolicy, deployment: Deployment) -> Windows:
    """The policy's windows.

    A deployment that keeps idle instances for less than Cloud Run's minute is averaged over that
    shorter time: otherwise the average would want back what the idle time has just ended.
    """
    if isinstance(policy, WindowsPolicy):
        stable_s = policy.window_s.value
        return Windows(stable_s, stable_s * policy.panic_share.value, since_first=True)
    if isinstance(policy, TargetsPolicy):
        longest_s = policy.window_s.value
        window_s = min(longest_s, max(deployment.idle_s, longest_s * LEAST_WINDOW))
        return Windows(window_s, window_s, since_first=False)
    return Windows(1.0, 1.0, since_first=False)


def allotted_cpu(
    policy: Policy, cpu: float, *, state: State, in_flight: int, ready_for_s: float
) -> float:
    """The CPUs that the platform gives an instance at this moment.

    More while it starts and a little longer (start-up boost), those of the deployment while it has
    a request, and outside requests what the policy leaves it.
    """
    if policy.boost and policy.boost_after_s:
        boosted = state is State.STARTING or ready_for_s < policy.boost_after_s.value
        if boosted and state is not State.STOPPING:
            return max(policy.boost.value * cpu, policy.boost.value)
    if policy.cpu_outside_requests and state is State.READY and not in_flight:
        return policy.cpu_outside_requests.value
    return cpu


# Cloud Run and Cloud Functions


def _by_targets(policy: TargetsPolicy, deployment: Deployment, seen: Seen) -> Decision:
    """As many as hold every request at once, and as many as keep the averages at their targets.

    Source: Google Cloud, "About instance autoscaling for Cloud Run services".
    """
    # Outside requests an instance gets no CPU there, so what it burns here must not keep it.
    cpu_busy = (seen.cpu_busy or 0.0) if seen.load or seen.demand else 0.0
    needed = [
        seen.demand / deployment.places,
        seen.load / (policy.concurrency_target.value * deployment.places),
        cpu_busy / (policy.cpu_target.value * deployment.cpu),
    ]
    wanted = _within(deployment, max(_up(each) for each in needed))
    stop = _overdue(seen, keep=wanted, idle_s=deployment.idle_s)
    wait_s = max(policy.wait_starts.value * (seen.mean_start_s or 0.0), policy.wait_least_s.value)
    if seen.count(State.STARTING):  # the wait for a start is not a wait behind full instances
        wait_s = math.inf
    return _decision(wanted, stop, wait_s, seen, Memory())


def _overdue(seen: Seen, keep: int, idle_s: float) -> tuple[str, ...]:
    """The ready instances that were idle for longer, the longest first (ties: the order given)."""
    idle = [
        each
        for each in seen.instances
        if each.state is State.READY and not each.in_flight and each.idle_s > idle_s
    ]
    longest_first = sorted(idle, key=lambda each: -each.idle_s)
    spare = max(seen.count(State.READY) - keep, 0)
    return tuple(each.name for each in longest_first[:spare])


# Knative


def _by_windows(
    policy: WindowsPolicy, deployment: Deployment, seen: Seen, memory: Memory
) -> Decision:
    """Every two seconds: what the stable window asks for, in panic the most that was asked for.

    Source: knative/serving, ``pkg/autoscaler/scaling/autoscaler.go``. Which instance goes is the
    deployment controller's choice there; here only one without a request ever does.
    """
    if seen.now_s - memory.decided_s >= policy.tick_s.value:
        memory = _ticked(policy, deployment, seen, memory)
    elif not seen.instances and seen.demand and not memory.wanted:
        # The activator pokes the autoscaler for the first request.
        memory = replace(memory, wanted=_within(deployment, 1), unwanted_s=None)
    keep = memory.wanted
    if keep == 0 and not _grace_is_over(policy, seen, memory):
        keep = 1
    stop = _overdue(seen, keep=keep, idle_s=-1.0)
    return _decision(memory.wanted, stop, policy.wait_most_s.value, seen, memory)


def _ticked(policy: WindowsPolicy, deployment: Deployment, seen: Seen, memory: Memory) -> Memory:
    ready = max(1, seen.count(State.READY))
    most, least = _up(policy.up_rate.value * ready), math.floor(ready / policy.down_rate.value)
    target = policy.utilisation.value * (deployment.concurrency or policy.target.value)
    in_panic_window = _up(seen.panic_load / target)
    stable = min(max(_up(seen.load / target), least), most)
    panic = min(max(in_panic_window, least), most)
    panic_s, panic_most = memory.panic_s, memory.panic_most
    if in_panic_window / ready >= policy.panic_threshold.value:
        panic_s = seen.now_s
    elif panic_s is not None and panic_s + policy.window_s.value < seen.now_s:
        panic_s, panic_most = None, 0
    wanted = stable
    if panic_s is not None:
        wanted = panic_most = max(stable, panic, panic_most)
    wanted = _within(deployment, max(wanted, 1 if seen.demand else 0))
    unwanted_s = memory.unwanted_s if memory.unwanted_s is not None else seen.now_s
    return Memory(seen.now_s, wanted, panic_s, panic_most, None if wanted else unwanted_s)


def _grace_is_over(policy: WindowsPolicy, seen: Seen, memory: Memory) -> bool:
    return memory.unwanted_s is not None and seen.now_s - memory.unwanted_s >= policy.grace_s.value


# Always on


def _fixed(policy: FixedPolicy, deployment: Deployment, seen: Seen) -> Decision:
    wanted = max(1, deployment.min_instances)
    return _decision(wanted, (), policy.wait_most_s.value, seen, Memory())


def _decision(
    wanted: int, stop: tuple[str, ...], wait_most_s: float, seen: Seen, memory: Memory
) -> Decision:
    refused = sum(wait_s > wait_most_s for wait_s in seen.waits_s)
    return Decision(wanted, stop, wait_most_s, refused, memory)


def _within(deployment: Deployment, wanted: int) -> int:
    return min(max(wanted, deployment.min_instances), deployment.max_instances)


def _up(value: float) -> int:
    """The next whole number, where rounding errors are none."""
    return math.ceil(value - 1e-9)
