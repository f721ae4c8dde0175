"""The event loop's memory for one model: allocated, and filled with what it starts from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from twinserve.analysis.simulation import state
from twinserve.analysis.simulation.events import TOO_MANY_INSTANCES, TOO_MANY_REQUESTS
from twinserve.analysis.simulation.model import Behaviour, Floats, Model
from twinserve.errors import UsageError
from twinserve.scaling.billing import billing_rules
from twinserve.scaling.policy import TargetsPolicy, WindowsPolicy
from twinserve.scaling.rules import windows

SPARE = 16  # slots of instances that are stopping


def new_world(
    model: Model, seed: int, *, users: int = 0, think_s: float = 0.0, log: int = 0
) -> state.World:
    """A deployment at 0 s without an instance or a request.

    Raises:
        UsageError: it is larger than what is simulated.
    """
    _check_size(model, users)
    w: state.World = np.zeros(1, state.WORLD)[0]
    for name, value in _rules(model, seed, think_s).items():
        w[name] = value
    _fill_times(w, model.behaviour)
    w["free"][:] = np.arange(state.REQUESTS)
    w["free_requests"] = state.REQUESTS
    w["last_ready_s"] = w["decided_s"] = -math.inf
    w["wait_most_s"] = math.inf
    w["panic_s"] = w["unwanted_s"] = math.nan
    w["span_s"] = windows(model.policy, model.deployment).load_s
    w["since_s"] = w["level_s"] = math.nan
    w["lines_most"] = min(log, state.LINES)
    return w


def _check_size(model: Model, users: int) -> None:
    name = model.deployment.name
    sizes = (
        ("max_instances", model.deployment.max_instances, (state.SLOTS - SPARE) // 2),
        ("queue_most", model.policy.queue_most.value, state.QUEUE - 2),
        ("users", users, state.USERS),
    )
    for what, value, most in sizes:
        if value > most:
            raise UsageError(f"{name}: {what} is {value:,g}; up to {most:,} are simulated.")


def _rules(model: Model, seed: int, think_s: float) -> dict[str, Any]:
    deployment, policy, behaviour = model.deployment, model.policy, model.behaviour
    billing = billing_rules()
    lanes = behaviour.lanes if behaviour.lanes <= state.LANES else 0
    return {
        "slots": 2 * deployment.max_instances + SPARE,
        "least": deployment.min_instances,
        "most": deployment.max_instances,
        "places": deployment.places,
        "lanes": 0 if lanes >= deployment.places else lanes,
        "idle_limit_s": deployment.idle_s,
        "tick_s": model.tick_s,
        "queue_most": policy.queue_most.value,
        "load_s": windows(policy, deployment).load_s,
        "panic_window_s": windows(policy, deployment).panic_s,
        "cpu_a_lane": behaviour.cpu_a_lane,
        "stop_s": behaviour.stop_s,
        "outside_s": behaviour.outside_s,
        "newest_first": model.newest_first,
        "think_s": think_s,
        "step_s": billing.round_up_s.value,
        "shut_down_most_s": billing.shut_down_most_s.value,
        "seed": np.uint64(_scrambled(seed)),
        **_of_policy(model),
    }


def _of_policy(model: Model) -> dict[str, float]:
    policy, deployment = model.policy, model.deployment
    if isinstance(policy, TargetsPolicy):
        watched = deployment.max_instances > 1 and model.behaviour.cpu_a_lane > 0
        return {
            "rule": state.BY_TARGETS,
            "wait_least_s": policy.wait_least_s.value,
            "wait_starts": policy.wait_starts.value,
            "per_instance": policy.concurrency_target.value * deployment.places,
            "watch_cpu": watched,
            "cpu_per_instance": policy.cpu_target.value * deployment.cpu,
        }
    if isinstance(policy, WindowsPolicy):
        target = policy.utilisation.value * (deployment.concurrency or policy.target.value)
        return {
            "rule": state.BY_WINDOWS,
            "wait_least_s": policy.wait_most_s.value,
            "target": target,
            "panic_threshold": policy.panic_threshold.value,
            "up_rate": policy.up_rate.value,
            "down_rate": policy.down_rate.value,
            "grace_s": policy.grace_s.value,
            "decide_s": policy.tick_s.value,
        }
    return {"rule": state.FIXED, "wait_least_s": policy.wait_most_s.value}


def _fill_times(w: state.World, behaviour: Behaviour) -> None:
    """The samples one after the other, table 0 for first requests, and which table holds at how
    many requests at a time."""
    levels = sorted(behaviour.levels, key=lambda level: level.most)
    first = behaviour.first_s if behaviour.first_s.size else levels[0].work_s
    tables = [
        _thinned(t, state.SAMPLES // state.TABLES) for t in (first, *(e.work_s for e in levels))
    ]
    ends = np.cumsum([table.size for table in tables])
    w["work_s"][: ends[-1]] = np.concatenate(tables)
    w["table_begin"][1 : ends.size + 1] = ends
    w["table_of"][:] = len(levels)
    for table in range(len(levels), 0, -1):
        w["table_of"][: levels[table - 1].most + 1] = table
    starts = _thinned(behaviour.starts_s, state.STARTS)
    w["start_s"][: starts.size] = starts
    w["start_count"] = starts.size


def _thinned(values: Floats, most: int) -> Floats:
    """A sample of at most so many values: evenly spaced ones of the sorted sample."""
    if values.size <= most:
        return values
    places = ((np.arange(most) + 0.5) * values.size / most).astype(int)
    chosen: Floats = np.sort(values)[places]
    return chosen


def _scrambled(seed: int) -> int:
    """Neighbouring seeds far apart."""
    return (seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) % 2**64


def check_room(status: int, model: Model) -> None:
    """Returns unless the event loop ran out of room.

    Raises:
        UsageError: more requests or instances at a time than there is room for.
    """
    name = model.deployment.name
    if status == TOO_MANY_REQUESTS:
        raise UsageError(
            f"{name}: over {state.REQUESTS:,} requests at a time; set a concurrency, or fewer "
            f"instances."
        )
    if status == TOO_MANY_INSTANCES:
        raise UsageError(
            f"{name}: more instances stop at a time than {model.deployment.max_instances:,} that "
            f"may run; set a longer idle time."
        )
