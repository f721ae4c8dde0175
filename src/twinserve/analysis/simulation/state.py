"""What the compiled event loop works on: one record of plain numbers, allocated once.

Its size is fixed: memory does not grow with the number of requests. One record, because a compiled
function gets it as a single address; pages that nothing touches take no memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinserve.scaling.window import BUCKETS

World = Any  # a record of WORLD: numba knows its fields, mypy cannot

FREE, STARTING, READY, STOPPING = 0, 1, 2, 3
BY_TARGETS, BY_WINDOWS, FIXED = 0, 1, 2
# What happens next: a request is done, an instance is ready, one is gone, a user asks again.
DONE, IS_READY, GONE, WAKES = 0, 1, 2, 3
# What is logged, for tests: a request gets its place, is refused; an instance is begun, stopped.
PLACED, REFUSED, BEGUN, STOPPED = 0, 1, 2, 3
LOAD, CPU = 0, 1  # windows

SLOTS = 4096  # instances, those that are stopping included
LANES = 16  # of an instance; where more work at the same time, all do
REQUESTS = 1 << 17  # in all places together
QUEUE = 1 << 14
USERS = 10_000
EVENTS = REQUESTS + 2 * SLOTS + USERS
SAMPLES = 1 << 20
STARTS = 1 << 12
TABLES = 32
LEVELS = 1001
LINES = 1 << 16
RING = BUCKETS + 4
BINS = 4096
LEAST_S, MOST_S = 1e-6, 1e6  # of the histograms
BINS_A_LOG = BINS / math.log(MOST_S / LEAST_S)

RULES = [
    ("rule", "i8"),
    ("slots", "i8"),
    ("least", "i8"),  # instances
    ("most", "i8"),
    ("places", "f8"),
    ("lanes", "i8"),  # 0: as many as places
    ("idle_limit_s", "f8"),
    ("tick_s", "f8"),
    ("queue_most", "f8"),
    ("wait_least_s", "f8"),
    # by targets
    ("per_instance", "f8"),  # requests at a time that an instance shall have on average
    ("watch_cpu", "i8"),
    ("cpu_per_instance", "f8"),  # CPUs that an instance shall keep busy
    ("cpu_a_lane", "f8"),  # CPUs that one request keeps busy
    ("wait_starts", "f8"),
    ("load_s", "f8"),  # the window
    # by windows
    ("panic_window_s", "f8"),
    ("target", "f8"),
    ("panic_threshold", "f8"),
    ("up_rate", "f8"),
    ("down_rate", "f8"),
    ("grace_s", "f8"),
    ("decide_s", "f8"),
    # instances and requests
    ("stop_s", "f8"),
    ("outside_s", "f8"),
    ("newest_first", "i8"),
    ("think_s", "f8"),
    ("seed", "u8"),
    ("step_s", "f8"),  # billing rounds up to it
    ("shut_down_most_s", "f8"),
]
BOOK = [
    ("now_s", "f8"),
    ("tick", "i8"),  # the number of the next one
    ("arrival", "i8"),  # place in the chunk of due times
    ("number", "i8"),  # of the next request
    ("sequence", "i8"),  # of the next event: ties are broken by it
    ("events", "i8"),
    ("queue_head", "i8"),
    ("queued", "i8"),
    ("free_requests", "i8"),
    ("ordered", "i8"),  # instances that are not stopping
    ("starting", "i8"),
    ("ready", "i8"),
    ("demand", "i8"),
    ("busy_lanes", "i8"),
    ("last_ready_s", "f8"),
    ("starts_seen", "i8"),
    ("starts_s", "f8"),
    # what the policy said and remembers
    ("wanted", "i8"),
    ("load_seen", "f8"),  # the averages that it was told last
    ("cpu_seen", "f8"),
    ("wait_most_s", "f8"),
    ("decided_s", "f8"),
    ("panic_s", "f8"),
    ("panic_most", "i8"),
    ("unwanted_s", "f8"),
    # the bill
    ("alive", "i8"),
    ("busy", "i8"),
    ("idle_now", "i8"),
    ("idle_counted_s", "f8"),
    ("idle_s", "f8"),
    ("busy_s", "f8"),
    ("life_s", "f8"),
    ("calls_s", "f8"),
    # what came of the requests
    ("came", "i8"),
    ("answered", "i8"),
    ("refused", "i8"),
    ("cold", "i8"),  # waited for a start, or were the first on their instance
    ("instances", "i8"),  # begun so far; -1: there was no slot for another one
    ("latency_s", "f8"),
    ("wait_s", "f8"),
    ("longest_s", "f8"),
    ("at_a_time_s", "f8"),  # integral of requests at a time
    ("lines", "i8"),
    ("lines_most", "i8"),
]
INSTANCE = [
    ("state", "i8"),
    ("rank", "i8"),
    ("in_flight", "i8"),
    ("served", "i8"),
    ("started_s", "f8"),
    ("ready_s", "f8"),
    ("idle_since_s", "f8"),
    ("stopping_s", "f8"),
    # its bill
    ("active", "i8"),
    ("settled_s", "f8"),
    ("begun_s", "f8"),  # NaN: never busy
    ("paid_until_s", "f8"),
    ("order", "i8"),  # instances that are not stopping, oldest first
]
REQUEST = [
    ("arrived_s", "f8"),
    ("placed_s", "f8"),
    ("began_s", "f8"),
    ("user_of", "i8"),
    ("instance_of", "i8"),
    ("free", "i8"),  # unused places
]
WAITING = [("queue_arrived_s", "f8"), ("queue_number", "i8"), ("queue_user", "i8")]
EVENT = [("event_s", "f8"), ("event_rank", "i8"), ("event_kind", "i8"), ("event_who", "i8")]
WINDOW = [
    ("level", "f8"),
    ("since_s", "f8"),
    ("level_s", "f8"),  # when the level was set
    ("span_s", "f8"),
    ("peak", "f8"),  # since epoch_s, and in the epoch before: each as long as the span or longer
    ("peak_before", "f8"),
    ("epoch_s", "f8"),
    ("head", "i8"),
    ("size", "i8"),
]
LINE = [("line_s", "f8"), ("line_what", "i8"), ("line_number", "i8"), ("line_other", "i8")]


def _arrays(fields: list[tuple[str, str]], *shape: int) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(name, type_, shape) for name, type_ in fields]


WORLD = np.dtype(
    [
        *RULES,
        *BOOK,
        *_arrays(WINDOW, 2),
        *_arrays([("bucket", "i8"), ("integral", "f8")], 2, RING),
        *_arrays(INSTANCE, SLOTS),
        *_arrays([("lane_s", "f8")], SLOTS, LANES),  # when each lane is free
        *_arrays(REQUEST, REQUESTS),
        *_arrays(WAITING, QUEUE),
        *_arrays(EVENT, EVENTS),
        *_arrays([("work_s", "f8")], SAMPLES),  # tables one after the other
        *_arrays([("table_begin", "i8")], TABLES),
        *_arrays([("table_of", "i8")], LEVELS),  # requests at a time on the instance -> table
        *_arrays([("start_s", "f8")], STARTS),
        ("start_count", "i8"),
        *_arrays([("latencies", "i8"), ("waits", "i8")], BINS),
        *_arrays(LINE, LINES),
    ]
)


def bin_times_s() -> NDArray[np.float64]:
    """The middle of each bin of the histograms, in s; half a bin is 0.34 %."""
    middles: NDArray[np.float64] = LEAST_S * np.exp((np.arange(BINS) + 0.5) / BINS_A_LOG)
    return middles
