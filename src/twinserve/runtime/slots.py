"""Which request waits and which instance takes it: the gateway's bookkeeping, without I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from twinserve.deployment import Deployment
from twinserve.scaling.policy import instances_to_stop, instances_wanted, may_wait_on


class State(StrEnum):
    """``STARTING``: takes no request yet; ``READY``: takes them; ``STOPPING``: takes no more."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@dataclass(eq=False)
class Ticket:
    """One request's place: in the queue while ``instance`` is None, then on that instance.

    ``queue_s`` and ``cold_s`` add up over its waits; ``avoid`` is the instance that failed it.
    """

    arrived_s: float
    instance: str | None = None
    avoid: str | None = None
    queue_s: float = 0.0
    cold_s: float = 0.0


@dataclass
class Slot:
    """One instance as the bookkeeping sees it."""

    sequence: int
    started_s: float
    state: State = State.STARTING
    in_flight: int = 0
    ready_s: float = 0.0
    idle_since_s: float | None = None


@dataclass
class Slots:
    """The queue and the instances of one deployment; every time is passed in, in seconds.

    Promises: first come, first served; never more than ``concurrency`` requests on an instance.
    """

    deployment: Deployment
    queue: deque[Ticket] = field(default_factory=deque)
    instances: dict[str, Slot] = field(default_factory=dict)
    _sequence: int = 0
    _starts: int = 0
    _starts_s: float = 0.0
    _last_ready_s: float = float("-inf")

    # Requests

    def enqueue(self, now_s: float) -> Ticket:
        """Put a new request at the queue's end."""
        ticket = Ticket(arrived_s=now_s)
        self.queue.append(ticket)
        return ticket

    def assign(self, now_s: float) -> list[Ticket]:
        """Give free places to the requests waiting longest; returns those that got one."""
        assigned = []
        while self.queue and (name := self._place_for(self.queue[0])) is not None:
            ticket = self.queue.popleft()
            self._occupy(ticket, name, now_s)
            assigned.append(ticket)
        return assigned

    def release(self, ticket: Ticket, now_s: float) -> None:
        """The request is done or given up: its place in the queue or on its instance is free."""
        if ticket.instance is None:
            if ticket in self.queue:
                self.queue.remove(ticket)
            return
        slot = self.instances.get(ticket.instance)
        ticket.instance = None
        if slot is not None:
            slot.in_flight -= 1
            slot.idle_since_s = None if slot.in_flight else now_s

    def retry(self, ticket: Ticket, now_s: float) -> None:
        """Its instance failed it: back to the head of the queue, and elsewhere where possible."""
        ticket.avoid = ticket.instance
        self.release(ticket, now_s)
        ticket.arrived_s = now_s
        self.queue.appendleft(ticket)

    def overdue(self, now_s: float) -> list[Ticket]:
        """Waiting requests that may not wait on (429)."""
        return [
            ticket
            for ticket in self.queue
            if not may_wait_on(
                now_s - max(ticket.arrived_s, self._last_ready_s),
                starting=self.count(State.STARTING),
                mean_start_s=self.mean_start_s,
            )
        ]

    # Instances

    def add(self, now_s: float) -> str:
        """A new instance is starting; returns its name, which is never used again."""
        self._sequence += 1
        name = f"{self.deployment.name}-{self._sequence}"
        self.instances[name] = Slot(self._sequence, started_s=now_s)
        return name

    def ready(self, name: str, now_s: float) -> float:
        """The instance answers; returns how long its start took, in seconds."""
        slot = self.instances[name]
        slot.state = State.READY
        slot.ready_s = slot.idle_since_s = self._last_ready_s = now_s
        self._starts += 1
        self._starts_s += now_s - slot.started_s
        return now_s - slot.started_s

    def stopping(self, name: str) -> None:
        """The instance takes no more requests."""
        self.instances[name].state = State.STOPPING

    def remove(self, name: str) -> None:
        """The instance is gone."""
        del self.instances[name]

    def to_start(self) -> int:
        """How many more instances to start now."""
        live = [slot for slot in self.instances.values() if slot.state is not State.STOPPING]
        wanted = instances_wanted(
            sum(slot.in_flight for slot in live),
            len(self.queue),
            concurrency=self.deployment.concurrency,
            min_instances=self.deployment.min_instances,
            max_instances=self.deployment.max_instances,
        )
        return max(0, wanted - len(live))

    def to_stop(self, now_s: float) -> tuple[str, ...]:
        """Which instances have been idle for too long."""
        return instances_to_stop(
            self.idle_s(now_s),
            ready=self.count(State.READY),
            min_instances=self.deployment.min_instances,
            idle_limit_s=self.deployment.idle_s,
        )

    def idle_s(self, now_s: float) -> dict[str, float]:
        """Seconds without a request of every ready instance that has none."""
        return {
            name: now_s - slot.idle_since_s
            for name, slot in self.instances.items()
            if slot.state is State.READY and slot.idle_since_s is not None
        }

    def count(self, state: State) -> int:
        return sum(slot.state is state for slot in self.instances.values())

    @property
    def in_flight(self) -> int:
        return sum(slot.in_flight for slot in self.instances.values())

    @property
    def can_hope(self) -> bool:
        """Whether a waiting request can get a place without another start."""
        return self.count(State.READY) + self.count(State.STARTING) > 0

    @property
    def mean_start_s(self) -> float | None:
        """Mean start-up so far; None before the first instance was ready."""
        return self._starts_s / self._starts if self._starts else None

    def _place_for(self, ticket: Ticket) -> str | None:
        """The free place with the fewest requests; among equals the oldest instance.

        Fewest, because requests of a model compute: two on one instance share its CPU while another
        instance's stands still, which Cloud Run's balancing avoids too. Oldest, so that under light
        load the newer ones fall idle and can stop.
        """
        free = [
            (name == ticket.avoid, slot.in_flight, slot.sequence, name)
            for name, slot in self.instances.items()
            if slot.state is State.READY and slot.in_flight < self.deployment.concurrency
        ]
        return min(free)[-1] if free else None

    def _occupy(self, ticket: Ticket, name: str, now_s: float) -> None:
        slot = self.instances[name]
        slot.in_flight += 1
        slot.idle_since_s = None
        ticket.instance = name
        waited_s = now_s - ticket.arrived_s
        cold_s = max(0.0, slot.ready_s - max(ticket.arrived_s, slot.started_s))
        ticket.cold_s += cold_s
        ticket.queue_s += waited_s - cold_s
