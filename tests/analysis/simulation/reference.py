"""The simulation in plain Python: the live gateway's own bookkeeping, driven by a clock of numbers.

Slow and obvious. It decides nothing itself: :class:`~twinserve.runtime.slots.Slots` and the pure
rules do, in the order in which ``runtime/gateway.py`` and ``fleet.py`` ask them.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from twinserve.analysis.simulation.events import START, WORK, drawn
from twinserve.analysis.simulation.model import Model
from twinserve.analysis.simulation.state import BEGUN, PLACED, REFUSED, STOPPED
from twinserve.analysis.simulation.world import new_world
from twinserve.runtime.slots import Slots, Ticket

DONE, READY, GONE, WAKES = range(4)


@dataclass
class Reference:
    """``log`` holds (when, what, number, other) of everything that was decided."""

    model: Model
    seed: int
    users: int = 0
    think_s: float = 0.0
    log: list[tuple[float, int, int, int]] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = Slots(self.model.deployment, self.model.policy)
        self.world = new_world(self.model, self.seed)  # for its tables only
        self.heap: list[tuple[float, int, int, object]] = []
        self.sequence = self.number = self.tick = 0
        self.now_s = 0.0
        self.refused = 0
        self.tickets: dict[Ticket, tuple[int, int, float]] = {}
        self.lanes: dict[str, list[float]] = {}
        self.served: dict[str, int] = {}
        self.busy_lanes = 0
        for user in range(self.users):
            self.push(0.0, WAKES, user)

    def run(self, due_s: list[float], until_s: float) -> None:
        due = list(due_s)
        while True:
            next_s = self.heap[0][0] if self.heap else np.inf
            arrival_s = due[0] if due else np.inf
            tick_s = self.tick * self.model.tick_s
            self.now_s = min(next_s, arrival_s, tick_s)
            if self.now_s > until_s:
                self.now_s = until_s
                return
            if next_s <= self.now_s:
                _, _, kind, who = heapq.heappop(self.heap)
                (self.done, self.ready, self.gone, self.comes)[kind](who)
            elif arrival_s <= self.now_s:
                due.pop(0)
                self.comes(-1)
            else:
                self.on_tick()
                self.tick += 1

    def push(self, at_s: float, kind: int, who: object) -> None:
        heapq.heappush(self.heap, (at_s, self.sequence, kind, who))
        self.sequence += 1

    # What the gateway does

    def on_tick(self) -> None:
        self.rethink()
        for ticket in self.book.overdue(self.now_s):
            self.refuse(ticket)
        for name in self.book.to_stop():
            self.book.stopping(name, self.now_s)
            self.note(STOPPED, rank(name), 0)
            self.push(self.now_s + self.model.behaviour.stop_s, GONE, name)

    def comes(self, user: object) -> None:
        number, self.number = self.number, self.number + 1
        if self.book.is_full:
            self.refused += 1
            self.note(REFUSED, number, 0)
            self.wake(user, refused=True)
            return
        ticket = self.book.enqueue(self.now_s)
        self.tickets[ticket] = (number, int(str(user)), self.now_s)
        self.assign()
        if ticket.instance is None:
            self.rethink()

    def done(self, ticket: object) -> None:
        assert isinstance(ticket, Ticket) and ticket.instance is not None
        _, user, arrived_s = self.tickets.pop(ticket)
        name = ticket.instance
        self.book.release(ticket, self.now_s)
        self.note_cpu(self.book.instances[name].in_flight + 1, -1)
        self.latencies.append(self.now_s - arrived_s + self.model.behaviour.outside_s)
        self.wake(user)
        self.assign()

    def ready(self, name: object) -> None:
        self.book.ready(str(name), self.now_s)
        self.rethink()

    def gone(self, name: object) -> None:
        self.book.remove(str(name), self.now_s)
        self.rethink()

    def rethink(self) -> None:
        self.assign()
        self.book.decide(self.now_s)
        for _ in range(self.book.to_start()):
            name = self.book.add(self.now_s)
            starts = self.world["start_s"][: self.world["start_count"]]
            start_s = starts[drawn(self.world["seed"], rank(name), START, starts.size)]
            self.note(BEGUN, rank(name), 0)
            self.push(self.now_s + float(start_s), READY, name)

    def assign(self) -> None:
        for ticket in self.book.assign(self.now_s):
            name = ticket.instance or ""
            number = self.tickets[ticket][0]
            in_flight = self.book.instances[name].in_flight
            self.note_cpu(in_flight, +1)
            table = int(self.world["table_of"][in_flight]) if self.served.get(name) else 0
            self.served[name] = self.served.get(name, 0) + 1
            begin, end = (int(each) for each in self.world["table_begin"][table : table + 2])
            place = begin + drawn(self.world["seed"], number, WORK, end - begin)
            work_s = float(self.world["work_s"][place])
            began_s = self.now_s
            if count := int(self.world["lanes"]):
                lanes = self.lanes.setdefault(name, [0.0] * count)
                lane = lanes.index(min(lanes))
                began_s = max(self.now_s, lanes[lane])
                lanes[lane] = began_s + work_s
            self.push(began_s + work_s, DONE, ticket)
            self.note(PLACED, number, rank(name))

    # What the runner and the load generator do

    def refuse(self, ticket: Ticket) -> None:
        number, user, _ = self.tickets.pop(ticket)
        self.book.release(ticket, self.now_s)
        self.refused += 1
        self.note(REFUSED, number, 0)
        self.wake(user, refused=True)

    def wake(self, user: object, refused: bool = False) -> None:
        if user != -1:
            pause_s = max(self.think_s, 0.1) if refused else self.think_s
            self.push(self.now_s + self.model.behaviour.outside_s + pause_s, WAKES, user)

    def note_cpu(self, in_flight: int, change: int) -> None:
        """``in_flight``: the larger of the two numbers."""
        lanes = int(self.world["lanes"])
        if self.world["watch_cpu"] and (not lanes or in_flight <= lanes):
            self.busy_lanes += change
            busy = self.busy_lanes * self.model.behaviour.cpu_a_lane
            self.book.note_cpu(busy, self.now_s)

    def note(self, what: int, number: int, other: int) -> None:
        self.log.append((self.now_s, what, number, other))


def rank(name: str) -> int:
    return int(name.rpartition("-")[2])
