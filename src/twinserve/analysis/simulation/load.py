""":class:`twinserve.scaling.window.LoadWindow`, compiled: the same averages, step by step.

Buckets are a ring of (number, integral); a test compares both over random levels.
"""

from __future__ import annotations

import math

from twinserve.analysis.simulation.compiled import compiled
from twinserve.analysis.simulation.state import RING, World
from twinserve.scaling.window import BUCKETS


@compiled
def set_level(w: World, which: int, level: float, now_s: float) -> None:
    """From now on the level of window ``which`` is ``level``."""
    advance(w, which, now_s)
    if level != 0 and w.level[which] == 0 and w.size[which] == 0:
        w.since_s[which] = now_s
    if now_s >= w.epoch_s[which] + w.span_s[which]:
        w.peak_before[which] = w.peak[which]
        w.peak[which] = w.level[which]
        w.epoch_s[which] = now_s
    w.level[which] = level
    w.peak[which] = max(w.peak[which], level)


@compiled
def average(w: World, which: int, now_s: float, over_s: float, since_first: bool) -> float:
    """The level's average over the last ``over_s`` seconds, at most the span."""
    advance(w, which, now_s)
    width_s = w.span_s[which] / BUCKETS
    start_s = now_s - over_s
    total = 0.0
    for k in range(w.size[which]):
        place = (w.head[which] + k) % RING
        total += w.integral[which, place] * _share_after(
            start_s, w.bucket[which, place] * width_s, width_s, now_s
        )
    if since_first and not math.isnan(w.since_s[which]):
        over_s = min(over_s, now_s - w.since_s[which])
    return float(total / over_s) if over_s > 0 else float(w.level[which])


@compiled
def highest(w: World, which: int, now_s: float) -> float:
    """What no average over the window can exceed as long as the level stays."""
    advance(w, which, now_s)
    width_s = w.span_s[which] / BUCKETS
    most = w.level[which]
    for k in range(w.size[which]):
        place = (w.head[which] + k) % RING
        begin_s = w.bucket[which, place] * width_s
        length_s = width_s if k < w.size[which] - 1 else max(now_s - begin_s, 1e-9)
        most = max(most, w.integral[which, place] / min(length_s, width_s))
    return float(most)


@compiled
def advance(w: World, which: int, now_s: float) -> None:
    """Add what the level amounted to since the last change, and forget what is too old."""
    begun_s = now_s if math.isnan(w.level_s[which]) else w.level_s[which]
    w.level_s[which] = max(now_s, begun_s)
    width_s = w.span_s[which] / BUCKETS
    if w.level[which] != 0:
        _add(w, which, width_s, max(begun_s, now_s - w.span_s[which]), now_s)
    oldest = int((now_s - w.span_s[which]) // width_s)
    while w.size[which] > 0 and w.bucket[which, w.head[which]] < oldest:
        w.head[which] = (w.head[which] + 1) % RING
        w.size[which] -= 1
    if w.size[which] == 0 and w.level[which] == 0:
        w.since_s[which] = math.nan


@compiled
def _add(w: World, which: int, width_s: float, begin_s: float, end_s: float) -> None:
    while begin_s < end_s:
        number = int(begin_s // width_s)
        until_s = min(end_s, (number + 1) * width_s)
        if until_s <= begin_s:  # rounding at a bucket's edge
            number += 1
            until_s = min(end_s, (number + 1) * width_s)
        integral = w.level[which] * (until_s - begin_s)
        last = (w.head[which] + w.size[which] - 1) % RING
        if w.size[which] > 0 and w.bucket[which, last] == number:
            w.integral[which, last] += integral
        else:
            if w.size[which] == RING:  # everything in it is older than the span
                w.head[which] = (w.head[which] + 1) % RING
                w.size[which] -= 1
            place = (w.head[which] + w.size[which]) % RING
            w.bucket[which, place] = number
            w.integral[which, place] = integral
            w.size[which] += 1
        begin_s = until_s


@compiled
def _share_after(start_s: float, begin_s: float, width_s: float, now_s: float) -> float:
    """The share of a bucket's time that lies after ``start_s``."""
    end_s = min(begin_s + width_s, now_s)
    if start_s <= begin_s:
        return 1.0
    return max(0.0, end_s - start_s) / (end_s - begin_s) if end_s > begin_s else 0.0
