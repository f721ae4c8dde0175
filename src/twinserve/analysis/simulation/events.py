"""The event loop: requests come, wait, are served; instances start, idle, stop; compiled.

It does what the live gateway does (``runtime/gateway.py``, ``slots.py``, ``fleet.py``), in its
order: the policy is asked when a request finds no place, when an instance is ready or gone, and at
each tick; only a tick refuses and stops. At one moment, what was planned comes before a new
request, and that before a tick.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from twinserve.analysis.simulation import meter
from twinserve.analysis.simulation.compiled import compiled
from twinserve.analysis.simulation.heap import pop, push
from twinserve.analysis.simulation.load import set_level
from twinserve.analysis.simulation.rules import NEVER, decide, may_grow, quiet_until, to_stop
from twinserve.analysis.simulation.state import (
    BEGUN,
    BINS,
    BINS_A_LOG,
    BY_WINDOWS,
    CPU,
    DONE,
    FIXED,
    FREE,
    GONE,
    IS_READY,
    LEAST_S,
    LEVELS,
    LOAD,
    PLACED,
    QUEUE,
    READY,
    REFUSED,
    STARTING,
    STOPPED,
    STOPPING,
    WAKES,
    World,
)

UNTIL_REACHED, NEEDS_ARRIVALS, TOO_MANY_REQUESTS, TOO_MANY_INSTANCES = 0, 1, 2, 3
NOBODY = -1
PAUSE_S = 0.1  # of a user whose request was refused, as the load generator makes it
WORK, START = 1, 2  # what is drawn
NO_TICK = 1 << 62


@compiled
def advance(w: World, due_s: Any, ended: bool, until_s: float) -> int:
    """Go on until ``until_s``, or until the next due time is wanted and not in ``due_s``.

    ``ended``: no due time follows the last one. Returns one of the four words above.
    """
    while True:
        if w.arrival >= due_s.size and not ended:
            return NEEDS_ARRIVALS
        due = due_s[w.arrival] if w.arrival < due_s.size else math.inf
        next_s = w.event_s[0] if w.events > 0 else math.inf
        at_s = min(next_s, due, w.tick * w.tick_s)
        if at_s > until_s:
            _go_to(w, until_s)
            return UNTIL_REACHED
        _go_to(w, at_s)
        if next_s <= at_s:
            _happens(w, w.event_kind[0], w.event_who[0])
        elif due <= at_s:
            w.arrival += 1
            _comes(w, NOBODY)
        else:
            _tick(w)
            continue
        if w.free_requests == 0:
            return TOO_MANY_REQUESTS
        if w.instances < 0:
            return TOO_MANY_INSTANCES
        if w.queued > 0 or may_grow(w):
            _tick_after(w, w.now_s)


@compiled
def _tick_after(w: World, at_s: float) -> None:
    """A tick is wanted after that moment; ticks in which nothing can happen are left out."""
    w.tick = min(w.tick, math.floor(at_s / w.tick_s) + 1)


@compiled
def _go_to(w: World, at_s: float) -> None:
    w.at_a_time_s += w.demand * (at_s - w.now_s)
    w.now_s = at_s


@compiled
def _happens(w: World, kind: int, who: int) -> None:
    pop(w)
    if kind == DONE:
        _done(w, who)
    elif kind == IS_READY:
        _ready(w, who)
    elif kind == GONE:
        meter.ended(w, who, w.now_s)
        w.state[who] = FREE
        _rethink(w)
        _tick_after(w, w.now_s)
    else:
        _comes(w, who)


@compiled
def _tick(w: World) -> None:
    keep = _rethink(w)
    while w.queued > 0 and _waited_s(w) > w.wait_most_s:
        _refuse_first(w)
    stopping = to_stop(w, keep)
    while stopping >= 0:
        _stop(w, stopping)
        stopping = to_stop(w, keep)
    w.tick += 1
    quiet_s = quiet_until(w, keep)
    if quiet_s >= NEVER:
        w.tick = NO_TICK
    elif quiet_s > w.now_s:
        w.tick = max(w.tick, math.floor(quiet_s / w.tick_s))


# Requests


@compiled
def _comes(w: World, user: int) -> None:
    """A request is here: it gets a place at once, waits, or is refused at the door."""
    w.came += 1
    number = w.number
    w.number += 1
    place = -1 if w.queued > 0 else _place(w)
    if place < 0 and w.queued >= w.queue_most:
        _refused(w, number, user)
        return
    _demanded(w, 1)
    if place >= 0:
        _occupy(w, place, number, user, w.now_s)
        return
    last = (w.queue_head + w.queued) % QUEUE
    w.queue_arrived_s[last] = w.now_s
    w.queue_number[last] = number
    w.queue_user[last] = user
    w.queued += 1
    _decide_and_grow(w)


@compiled
def _done(w: World, who: int) -> None:
    """An answer: its place is free, and its user thinks."""
    i, arrived_s, user = w.instance_of[who], w.arrived_s[who], w.user_of[who]
    _demanded(w, -1)
    w.calls_s += meter.rounded(w.now_s - w.placed_s[who], w.step_s)
    meter.changed(w, i, -1, w.now_s)
    w.in_flight[i] -= 1
    if w.in_flight[i] == 0:
        w.idle_since_s[i] = w.now_s
        _tick_after(w, w.now_s if w.rule == BY_WINDOWS else w.now_s + w.idle_limit_s)
    _lanes_changed(w, w.in_flight[i] + 1, w.in_flight[i])
    _write_down(w, w.now_s - arrived_s + w.outside_s, w.began_s[who] - arrived_s)
    w.free[w.free_requests] = who
    w.free_requests += 1
    if user != NOBODY:
        push(w, w.now_s + w.outside_s + w.think_s, WAKES, user)
    _assign(w)


@compiled
def _write_down(w: World, latency_s: float, wait_s: float) -> None:
    w.answered += 1
    w.latency_s += latency_s
    w.wait_s += wait_s
    w.longest_s = max(w.longest_s, latency_s)
    w.latencies[_bin(latency_s)] += 1
    w.waits[_bin(wait_s)] += 1


@compiled
def _assign(w: World) -> None:
    """Give free places to the requests waiting longest."""
    while w.queued > 0:
        place = _place(w)
        if place < 0:
            return
        first = w.queue_head
        w.queue_head = (first + 1) % QUEUE
        w.queued -= 1
        _occupy(w, place, w.queue_number[first], w.queue_user[first], w.queue_arrived_s[first])


@compiled
def _place(w: World) -> int:
    """The free place with the fewest requests; among equals the oldest (or newest) instance."""
    found, fewest = -1, w.places
    for k in range(w.ordered):
        i = w.order[w.ordered - 1 - k if w.newest_first else k]
        if w.state[i] == READY and w.in_flight[i] < fewest:
            found, fewest = i, float(w.in_flight[i])
            if fewest == 0:
                break
    return int(found)


@compiled
def _occupy(w: World, i: int, number: int, user: int, arrived_s: float) -> None:
    """The request gets a place on instance ``i``; when it will be done is known from now on."""
    w.in_flight[i] += 1
    meter.changed(w, i, 1, w.now_s)
    _lanes_changed(w, w.in_flight[i] - 1, w.in_flight[i])
    table = 0  # of the first request on an instance
    if w.served[i] > 0:
        table = w.table_of[min(w.in_flight[i], LEVELS - 1)]
    if table == 0 or w.ready_s[i] > max(arrived_s, w.started_s[i]):
        w.cold += 1
    w.served[i] += 1
    work_s = _work_s(w, number, table)
    began_s = w.now_s
    if w.lanes > 0:
        lane = _free_lane(w, i)
        began_s = max(w.now_s, w.lane_s[i, lane])
        w.lane_s[i, lane] = began_s + work_s
    w.free_requests -= 1
    who = w.free[w.free_requests]
    w.arrived_s[who] = arrived_s
    w.placed_s[who] = w.now_s
    w.began_s[who] = began_s
    w.user_of[who] = user
    w.instance_of[who] = i
    push(w, began_s + work_s, DONE, who)
    _log(w, PLACED, number, w.rank[i])


@compiled
def _free_lane(w: World, i: int) -> int:
    """The lane that is free first."""
    found = 0
    for lane in range(1, w.lanes):
        if w.lane_s[i, lane] < w.lane_s[i, found]:
            found = lane
    return found


@compiled
def _waited_s(w: World) -> float:
    """How long the first in the queue has waited behind full instances."""
    return float(w.now_s - max(w.queue_arrived_s[w.queue_head], w.last_ready_s))


@compiled
def _refuse_first(w: World) -> None:
    first = w.queue_head
    w.queue_head = (first + 1) % QUEUE
    w.queued -= 1
    _demanded(w, -1)
    _refused(w, w.queue_number[first], w.queue_user[first])


@compiled
def _refused(w: World, number: int, user: int) -> None:
    w.refused += 1
    if user != NOBODY:
        push(w, w.now_s + w.outside_s + max(w.think_s, PAUSE_S), WAKES, user)
    _log(w, REFUSED, number, 0)


@compiled
def _demanded(w: World, change: int) -> None:
    w.demand += change
    if w.rule != FIXED:
        set_level(w, LOAD, float(w.demand), w.now_s)


@compiled
def _lanes_changed(w: World, before: int, after: int) -> None:
    """The CPU that an instance's requests keep busy grows no more where all lanes work."""
    if not w.watch_cpu:
        return
    if w.lanes > 0:
        before, after = min(before, w.lanes), min(after, w.lanes)
    if before != after:
        w.busy_lanes += after - before
        set_level(w, CPU, w.busy_lanes * w.cpu_a_lane, w.now_s)


# Instances


@compiled
def _rethink(w: World) -> int:
    _assign(w)
    return _decide_and_grow(w)


@compiled
def _decide_and_grow(w: World) -> int:
    keep = decide(w)
    while w.ready + w.starting < w.wanted and w.instances >= 0:
        _begin(w)
    return keep


@compiled
def _begin(w: World) -> None:
    """A new instance starts in a slot that nobody uses."""
    i = 0
    while i < w.slots and w.state[i] != FREE:
        i += 1
    if i == w.slots:
        w.instances = -1  # tells the loop
        return
    w.instances += 1
    w.state[i] = STARTING
    w.rank[i] = w.instances
    w.in_flight[i] = 0
    w.served[i] = 0
    w.started_s[i] = w.now_s
    w.ready_s[i] = math.inf
    w.idle_since_s[i] = math.nan
    for lane in range(w.lanes):
        w.lane_s[i, lane] = 0.0
    meter.begun(w, i, w.now_s)
    w.order[w.ordered] = i
    w.ordered += 1
    w.starting += 1
    push(w, w.now_s + _start_s(w, w.instances), IS_READY, i)
    _log(w, BEGUN, w.instances, 0)


@compiled
def _ready(w: World, i: int) -> None:
    w.state[i] = READY
    w.ready_s[i] = w.now_s
    w.idle_since_s[i] = w.now_s
    w.last_ready_s = w.now_s
    w.starting -= 1
    w.ready += 1
    w.starts_seen += 1
    w.starts_s += w.now_s - w.started_s[i]
    meter.changed(w, i, -1, w.now_s)
    _rethink(w)
    _tick_after(w, w.now_s)


@compiled
def _stop(w: World, i: int) -> None:
    w.state[i] = STOPPING
    w.stopping_s[i] = w.now_s
    w.ready -= 1
    meter.changed(w, i, 1, w.now_s)
    k = 0
    while w.order[k] != i:
        k += 1
    w.ordered -= 1
    while k < w.ordered:
        w.order[k] = w.order[k + 1]
        k += 1
    push(w, w.now_s + w.stop_s, GONE, i)
    _log(w, STOPPED, w.rank[i], 0)


# Luck


@compiled
def _work_s(w: World, number: int, table: int) -> float:
    """How long request ``number`` takes: drawn from what was measured at so many at a time."""
    begin, end = w.table_begin[table], w.table_begin[table + 1]
    return float(w.work_s[begin + drawn(w.seed, number, WORK, end - begin)])


@compiled
def _start_s(w: World, rank: int) -> float:
    return float(w.start_s[drawn(w.seed, rank, START, w.start_count)])


@compiled
def drawn(seed: int, number: int, purpose: int, count: int) -> int:
    """A place from 0 to count - 1 that depends on seed, number and purpose alone.

    So the luck of a request is the same whatever the policy does with it (splitmix64; Steele, Lea
    and Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    z = np.uint64(seed) + np.uint64(2 * number + purpose) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return int(np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0) * count)


@compiled
def _bin(seconds: float) -> int:
    if seconds <= LEAST_S:
        return 0
    return min(BINS - 1, math.floor(math.log(seconds / LEAST_S) * BINS_A_LOG))


@compiled
def _log(w: World, what: int, number: int, other: int) -> None:
    if w.lines < w.lines_most:
        w.line_s[w.lines] = w.now_s
        w.line_what[w.lines] = what
        w.line_number[w.lines] = number
        w.line_other[w.lines] = other
        w.lines += 1
