"""What happens next: a heap of events by time, ties by sequence; compiled."""

from __future__ import annotations

from twinserve.analysis.simulation.compiled import compiled
from twinserve.analysis.simulation.state import World


@compiled
def push(w: World, at_s: float, kind: int, who: int) -> None:
    """Something will happen at ``at_s``."""
    rank = w.sequence
    w.sequence += 1
    place = w.events
    w.events += 1
    while place > 0:
        above = (place - 1) >> 1
        if w.event_s[above] <= at_s:  # the one above was pushed earlier, so it stays on a tie
            break
        _move(w, above, place)
        place = above
    _set(w, place, at_s, rank, kind, who)


@compiled
def pop(w: World) -> None:
    """The first event is over; it was read from place 0."""
    w.events -= 1
    size = w.events
    at_s, rank = w.event_s[size], w.event_rank[size]
    kind, who = w.event_kind[size], w.event_who[size]
    place = 0
    while True:
        below = 2 * place + 1
        if below >= size:
            break
        if below + 1 < size and _earlier(w, below + 1, below):
            below += 1
        if w.event_s[below] > at_s or (w.event_s[below] == at_s and w.event_rank[below] > rank):
            break
        _move(w, below, place)
        place = below
    _set(w, place, at_s, rank, kind, who)


@compiled
def _earlier(w: World, one: int, other: int) -> bool:
    if w.event_s[one] != w.event_s[other]:
        return bool(w.event_s[one] < w.event_s[other])
    return bool(w.event_rank[one] < w.event_rank[other])


@compiled
def _move(w: World, source: int, target: int) -> None:
    w.event_s[target] = w.event_s[source]
    w.event_rank[target] = w.event_rank[source]
    w.event_kind[target] = w.event_kind[source]
    w.event_who[target] = w.event_who[source]


@compiled
def _set(w: World, place: int, at_s: float, rank: int, kind: int, who: int) -> None:
    w.event_s[place] = at_s
    w.event_rank[place] = rank
    w.event_kind[place] = kind
    w.event_who[place] = who
