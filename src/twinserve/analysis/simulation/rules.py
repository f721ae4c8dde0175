""":func:`twinserve.scaling.rules.decide`, compiled: told of the same, the same decision.

A test runs the pure rules and these side by side through whole simulations.
"""

from __future__ import annotations

import math

from twinserve.analysis.simulation.compiled import compiled
from twinserve.analysis.simulation.load import average, highest
from twinserve.analysis.simulation.state import (
    BY_TARGETS,
    BY_WINDOWS,
    CPU,
    LOAD,
    READY,
    World,
)

NEVER = 1e300


@compiled
def decide(w: World) -> int:
    """How many instances shall run; sets ``wanted`` and ``wait_most_s``.

    Returns how many ready ones shall stay (the others may be stopped, see :func:`to_stop`).
    """
    if w.rule == BY_TARGETS:
        return _by_targets(w)
    w.wait_most_s = w.wait_least_s
    if w.rule == BY_WINDOWS:
        return _by_windows(w)
    w.wanted = max(1, w.least)
    return int(w.most)


@compiled
def to_stop(w: World, keep: int) -> int:
    """The next ready instance to stop, the one idle longest; -1: none."""
    if w.ready <= keep:
        return -1
    limit_s = -1.0 if w.rule == BY_WINDOWS else w.idle_limit_s
    found = -1
    for k in range(w.ordered):
        i = w.order[k]
        if w.state[i] != READY or w.in_flight[i] > 0:
            continue
        if w.now_s - w.idle_since_s[i] > limit_s and (
            found < 0 or w.idle_since_s[i] < w.idle_since_s[found]
        ):
            found = i
    return int(found)


@compiled
def may_grow(w: World) -> bool:
    """Whether an average could ask for another instance at a tick; asked after each event, so it
    looks at the highest level of the last windows instead of adding up."""
    live = w.ready + w.starting
    if w.rule != BY_TARGETS or live >= w.most:
        return False
    if live < w.least or _peak(w, LOAD) > live * w.per_instance:
        return True
    return bool(w.watch_cpu) and _peak(w, CPU) > live * w.cpu_per_instance


@compiled
def quiet_until(w: World, keep: int) -> float:
    """Before this moment no tick can change anything, if nothing else happens: asked after a
    tick, so that the loop need not make ten ticks in a second in which nothing happens."""
    if w.queued > 0:
        return float(w.now_s)
    if w.rule == BY_TARGETS:
        return _quiet_by_targets(w)
    if w.rule == BY_WINDOWS:
        quiet_s = w.decided_s + w.decide_s
        if keep > w.wanted:
            quiet_s = min(quiet_s, w.unwanted_s + w.grace_s)
        return float(quiet_s)
    return NEVER


# Cloud Run and Cloud Functions


@compiled
def _by_targets(w: World) -> int:
    now_s = w.now_s
    w.load_seen = average(w, LOAD, now_s, w.load_s, False)
    needed = max(up(w.demand / w.places), up(w.load_seen / w.per_instance))
    if w.watch_cpu:
        w.cpu_seen = average(w, CPU, now_s, w.load_s, False)
        if w.load_seen != 0 or w.demand > 0:
            needed = max(needed, up(w.cpu_seen / w.cpu_per_instance))
    w.wanted = within(w, needed)
    if w.starting > 0:
        w.wait_most_s = math.inf
    else:
        mean_s = w.starts_s / w.starts_seen if w.starts_seen else 0.0
        w.wait_most_s = max(w.wait_starts * mean_s, w.wait_least_s)
    return int(w.wanted)


@compiled
def _quiet_by_targets(w: World) -> float:
    """Until an average could ask for more than there is, or an idle time could be over."""
    now_s, live = w.now_s, w.ready + w.starting
    quiet_s = NEVER
    if live < w.least:
        return float(now_s)
    if live < w.most:
        quiet_s = _reached_s(w, LOAD, w.load_seen, live * w.per_instance)
        if w.watch_cpu:
            cpu_s = _reached_s(w, CPU, w.cpu_seen, live * w.cpu_per_instance)
            quiet_s = min(quiet_s, cpu_s)
    if w.ready > w.least:
        for k in range(w.ordered):
            i = w.order[k]
            if w.state[i] == READY and w.in_flight[i] == 0:
                quiet_s = min(quiet_s, w.idle_since_s[i] + w.idle_limit_s)
    return float(max(quiet_s, now_s))


@compiled
def _reached_s(w: World, which: int, seen: float, limit: float) -> float:
    """When an average that is ``seen`` now could go above ``limit``: over a window of W it grows by
    no more than the highest level / W in a second, and never above that level."""
    most = highest(w, which, w.now_s)
    if most <= limit:
        return NEVER
    return float(w.now_s + (limit - seen) * w.load_s / most - w.tick_s)


@compiled
def _peak(w: World, which: int) -> float:
    return float(max(w.peak[which], w.peak_before[which]))


# Knative


@compiled
def _by_windows(w: World) -> int:
    if w.now_s - w.decided_s >= w.decide_s:
        _ticked(w)
    elif w.ordered == 0 and w.demand > 0 and w.wanted == 0:
        w.wanted = within(w, 1)
        w.unwanted_s = math.nan
    if w.wanted == 0 and not (not math.isnan(w.unwanted_s) and w.now_s - w.unwanted_s >= w.grace_s):
        return 1
    return int(w.wanted)


@compiled
def _ticked(w: World) -> None:
    now_s = w.now_s
    ready = max(1, w.ready)
    most, least = up(w.up_rate * ready), math.floor(ready / w.down_rate)
    in_panic_window = up(average(w, LOAD, now_s, w.panic_window_s, True) / w.target)
    stable = up(average(w, LOAD, now_s, w.load_s, True) / w.target)
    stable = min(max(stable, least), most)
    panic = min(max(in_panic_window, least), most)
    if in_panic_window / ready >= w.panic_threshold:
        w.panic_s = now_s
    elif not math.isnan(w.panic_s) and w.panic_s + w.load_s < now_s:
        w.panic_s = math.nan
        w.panic_most = 0
    wanted = stable
    if not math.isnan(w.panic_s):
        wanted = max(stable, panic, w.panic_most)
        w.panic_most = wanted
    wanted = within(w, max(wanted, 1 if w.demand > 0 else 0))
    if wanted > 0:
        w.unwanted_s = math.nan
    elif math.isnan(w.unwanted_s):
        w.unwanted_s = now_s
    w.decided_s = now_s
    w.wanted = wanted


@compiled
def within(w: World, wanted: int) -> int:
    return int(min(max(wanted, w.least), w.most))


@compiled
def up(value: float) -> int:
    """The next whole number, where rounding errors are none."""
    return math.ceil(value - 1e-9)
