"""Which request waits and which instance takes it: the gateway's bookkeeping, without I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from twinserve.deployment import Deployment
from twinserve.scaling.billing import BillingMeter
from twinserve.scaling.policy import AnyPolicy, policy_named
from twinserve.scaling.rules import (
    Decision,
    InstanceSeen,
    Memory,
    Seen,
    State,
    allotted_cpu,
    decide,
    windows,
)
from twinserve.scaling.window import LoadWindow


@dataclass(eq=False)
class Ticket:
    """One request's place: in the queue while ``instance`` is None, then on that instance.

    ``queue_s`` and ``cold_s`` add up over its waits; ``was_on`` is the last instance that it was
    given to, ``avoid`` the one that failed it, ``gone`` whether it needs no place any more.
    """

    arrived_s: float
    instance: str | None = None
    was_on: str | None = None
    avoid: str | None = None
    placed_s: float = 0.0
    queue_s: float = 0.0
    cold_s: float = 0.0
    gone: bool = False


@dataclass
class Slot:
    """One instance as the bookkeeping sees it; ``answered_s`` is when it last gave an answer."""

    sequence: int
    started_s: float
    state: State = State.STARTING
    in_flight: int = 0
    ready_s: float = 0.0
    idle_since_s: float | None = None
    answered_s: float = float("-inf")


@dataclass
class Slots:
    """The queue and the instances of one deployment; every time is passed in, in seconds.

    Promises: first come, first served; never more than ``concurrency`` requests on an instance.
    What the policy says is asked for with :meth:`decide`, and stands until that is asked again.
    """

    deployment: Deployment
    policy: AnyPolicy = None  # type: ignore[assignment] # that of the deployment
    queue: deque[Ticket] = field(default_factory=deque)
    instances: dict[str, Slot] = field(default_factory=dict)
    _sequence: int = 0
    _starts: int = 0
    _starts_s: float = 0.0
    _last_ready_s: float = float("-inf")
    _demand: int = 0
    _memory: Memory = field(default_factory=Memory)
    _cpu: LoadWindow | None = None

    def __post_init__(self) -> None:
        self.policy = self.policy or policy_named(self.deployment.policy_name)
        self._windows = windows(self.policy, self.deployment)
        self._load = LoadWindow(self._windows.load_s)
        self.meter = BillingMeter(
            self.deployment.cpu,
            self.deployment.memory_mib,
            self.deployment.concurrency,
            self.deployment.min_instances,
        )
        self.decision = Decision(0, (), float("inf"), 0, self._memory)

    # Requests

    def enqueue(self, now_s: float) -> Ticket:
        """Put a new request at the queue's end."""
        ticket = Ticket(arrived_s=now_s)
        self.queue.append(ticket)
        self._demanded(+1, now_s)
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
        if not ticket.gone:
            ticket.gone = True
            self._demanded(-1, now_s)
        if ticket.instance is not None:
            self._vacate(ticket, now_s)
        elif ticket in self.queue:
            self.queue.remove(ticket)

    def retry(self, ticket: Ticket, now_s: float) -> None:
        """Its instance failed it: back to the head of the queue, and elsewhere where possible."""
        ticket.avoid = ticket.instance
        self._vacate(ticket, now_s)
        ticket.arrived_s = now_s
        self.queue.appendleft(ticket)

    def overdue(self, now_s: float) -> list[Ticket]:
        """Waiting requests that may not wait on."""
        limit_s = self.decision.wait_most_s
        return [ticket for ticket in self.queue if self._waited_s(ticket, now_s) > limit_s]

    @property
    def is_full(self) -> bool:
        """Whether no more requests may wait."""
        return len(self.queue) >= self.policy.queue_most.value

    # Instances

    def add(self, now_s: float) -> str:
        """A new instance is starting; returns its name, which is never used again."""
        self._sequence += 1
        name = f"{self.deployment.name}-{self._sequence}"
        self.instances[name] = Slot(self._sequence, started_s=now_s)
        self.meter.started(name, now_s)
        return name

    def ready(self, name: str, now_s: float) -> float:
        """The instance answers; returns how long its start took, in seconds."""
        slot = self.instances[name]
        slot.state = State.READY
        slot.ready_s = slot.idle_since_s = self._last_ready_s = now_s
        self.meter.ready(name, now_s)
        self._starts += 1
        self._starts_s += now_s - slot.started_s
        return now_s - slot.started_s

    def stopping(self, name: str, now_s: float) -> None:
        """The instance takes no more requests."""
        self.instances[name].state = State.STOPPING
        self.meter.stopping(name, now_s)

    def remove(self, name: str, now_s: float) -> None:
        """The instance is gone."""
        del self.instances[name]
        self.meter.ended(name, now_s)

    def answered(self, ticket: Ticket, now_s: float) -> None:
        """The request's instance has answered it."""
        if slot := self.instances.get(ticket.instance or ""):
            slot.answered_s = now_s

    def hangs(self, ticket: Ticket) -> bool:
        """Whether its instance has answered nothing at all since it got the request."""
        slot = self.instances.get(ticket.instance or "")
        return slot is not None and slot.answered_s < ticket.placed_s

    def decide(self, now_s: float) -> Decision:
        """What the policy says now; :meth:`to_start`, :meth:`to_stop` and :meth:`overdue` follow
        it."""
        self.decision = decide(self.policy, self.deployment, self.seen(now_s), self._memory)
        self._memory = self.decision.memory
        return self.decision

    def seen(self, now_s: float) -> Seen:
        """What the policy is told."""
        idle_s = self.idle_s(now_s)
        load_s, since_first = self._windows.load_s, self._windows.since_first
        return Seen(
            now_s=now_s,
            instances=[
                InstanceSeen(name, slot.state, slot.in_flight, idle_s.get(name, 0.0))
                for name, slot in self.instances.items()
                if slot.state is not State.STOPPING
            ],
            waits_s=[self._waited_s(ticket, now_s) for ticket in self.queue],
            load=self._load.average(now_s, load_s, since_first=since_first),
            panic_load=self._load.average(now_s, self._windows.panic_s, since_first=since_first),
            cpu_busy=self._cpu.average(now_s, load_s) if self._cpu else None,
            mean_start_s=self.mean_start_s,
        )

    def note_cpu(self, busy: float, now_s: float) -> None:
        """The instances together keep so many CPUs busy."""
        self._cpu = self._cpu or LoadWindow(self._windows.load_s)
        self._cpu.set(busy, now_s)

    def to_start(self) -> int:
        """How many more instances to start now."""
        live = self.count(State.STARTING) + self.count(State.READY)
        return max(0, self.decision.wanted - live)

    def to_stop(self) -> list[str]:
        """Which instances to stop now: those that the policy named and that are idle still."""
        return [
            name
            for name in self.decision.stop
            if (slot := self.instances.get(name))
            and slot.state is State.READY
            and not slot.in_flight
        ]

    def idle_s(self, now_s: float) -> dict[str, float]:
        """Seconds without a request of every ready instance that has none."""
        return {
            name: now_s - slot.idle_since_s
            for name, slot in self.instances.items()
            if slot.state is State.READY and slot.idle_since_s is not None
        }

    def allotted_cpu(self, name: str, now_s: float) -> float:
        """The CPUs that the policy gives an instance now."""
        slot = self.instances[name]
        return allotted_cpu(
            self.policy,
            self.deployment.cpu,
            state=slot.state,
            in_flight=slot.in_flight,
            ready_for_s=now_s - slot.ready_s,
        )

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
            if slot.state is State.READY and slot.in_flight < self.deployment.places
        ]
        return min(free)[-1] if free else None

    def _demanded(self, change: int, now_s: float) -> None:
        self._demand += change
        self._load.set(self._demand, now_s)

    def _waited_s(self, ticket: Ticket, now_s: float) -> float:
        """Behind full instances: the wait for an instance to start is not one."""
        return now_s - max(ticket.arrived_s, self._last_ready_s)

    def _vacate(self, ticket: Ticket, now_s: float) -> None:
        if ticket.instance is None:
            return
        name, ticket.instance = ticket.instance, None
        self.meter.request_ended(name, ticket.placed_s, now_s)
        slot = self.instances.get(name)
        if slot is not None:
            slot.in_flight -= 1
            slot.idle_since_s = None if slot.in_flight else now_s

    def _occupy(self, ticket: Ticket, name: str, now_s: float) -> None:
        slot = self.instances[name]
        slot.in_flight += 1
        slot.idle_since_s = None
        ticket.instance = ticket.was_on = name
        ticket.placed_s = now_s
        self.meter.request_began(name, now_s, again=ticket.avoid is not None)
        waited_s = now_s - ticket.arrived_s
        cold_s = max(0.0, slot.ready_s - max(ticket.arrived_s, slot.started_s))
        ticket.cold_s += cold_s
        ticket.queue_s += waited_s - cold_s
