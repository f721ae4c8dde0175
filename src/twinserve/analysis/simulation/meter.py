""":class:`twinserve.scaling.billing.BillingMeter`, compiled: the same events, the same bill."""

from __future__ import annotations

import math

from twinserve.analysis.simulation.compiled import compiled
from twinserve.analysis.simulation.state import FREE, World
from twinserve.scaling.billing import CLOSE


@compiled
def rounded(seconds: float, step_s: float) -> float:
    """:func:`twinserve.scaling.billing.rounded_up`."""
    return math.ceil(seconds / step_s - CLOSE) * step_s


@compiled
def begun(w: World, i: int, at_s: float) -> None:
    """The platform begins to start instance ``i``."""
    w.active[i] = 0
    w.settled_s[i] = 0.0
    w.begun_s[i] = math.nan
    w.paid_until_s[i] = -math.inf
    w.stopping_s[i] = math.nan
    w.alive += 1
    changed(w, i, 1, at_s)


@compiled
def ended(w: World, i: int, at_s: float) -> None:
    """Instance ``i`` is gone."""
    end_s = at_s
    if not math.isnan(w.stopping_s[i]):
        end_s = min(at_s, w.stopping_s[i] + w.shut_down_most_s)
    if w.active[i]:
        changed(w, i, -w.active[i], end_s)
    w.busy_s += busy_seconds(w, i, end_s)
    w.life_s += rounded(end_s - w.started_s[i], w.step_s)
    w.alive -= 1
    count_idle(w, at_s)


@compiled
def changed(w: World, i: int, change: int, at_s: float) -> None:
    """So many more or fewer things keep instance ``i`` busy."""
    was_busy = w.active[i] > 0
    if not was_busy and change > 0 and at_s >= w.paid_until_s[i]:
        w.settled_s[i] = busy_seconds(w, i, at_s)
        w.begun_s[i] = at_s
    w.active[i] += change
    is_busy = w.active[i] > 0
    if not is_busy and change < 0 and not math.isnan(w.begun_s[i]):
        w.paid_until_s[i] = w.begun_s[i] + rounded(at_s - w.begun_s[i], w.step_s)
    if was_busy != is_busy:
        w.busy += 1 if is_busy else -1
        count_idle(w, at_s)


@compiled
def busy_seconds(w: World, i: int, now_s: float) -> float:
    """Billable until ``now_s``, the stretch that goes on rounded up."""
    if math.isnan(w.begun_s[i]):
        return float(w.settled_s[i])
    if w.active[i] > 0:
        return float(w.settled_s[i] + rounded(now_s - w.begun_s[i], w.step_s))
    return float(w.settled_s[i] + w.paid_until_s[i] - w.begun_s[i])


@compiled
def count_idle(w: World, at_s: float) -> None:
    """Of the minimum, what is neither busy nor starting is idle and billed as such."""
    w.idle_s += w.idle_now * max(0.0, at_s - w.idle_counted_s)
    w.idle_counted_s = at_s
    if w.least > 0:
        w.idle_now = min(w.alive - w.busy, max(0, w.least - w.busy))


@compiled
def bill(w: World) -> tuple[float, float, float, float]:
    """Request-based, instance-based, call and idle seconds until now."""
    now_s = w.now_s
    busy_s, life_s = w.busy_s, w.life_s
    for i in range(w.slots):
        if w.state[i] == FREE:
            continue
        end_s = now_s
        if not math.isnan(w.stopping_s[i]):
            end_s = min(now_s, w.stopping_s[i] + w.shut_down_most_s)
        busy_s += busy_seconds(w, i, end_s)
        life_s += rounded(end_s - w.started_s[i], w.step_s)
    idle_s = w.idle_s + w.idle_now * max(0.0, now_s - w.idle_counted_s)
    return busy_s, life_s, w.calls_s, idle_s
