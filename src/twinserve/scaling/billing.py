"""What a platform would bill of a deployment: pure metering, no prices, no clock, no I/O.

Told of each event when it happens, in the order of time; its memory grows with the instances that
are alive, never with the number of requests. The rules' numbers are in ``billing.toml``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec

from twinserve.scaling.policy import Number, Pairs

DATA = Path(__file__).with_name("billing.toml")
CLOSE = 1e-6  # of a step: smaller excesses are rounding errors of the clock
MIB_OF_GIB = 1024


class Mode(StrEnum):
    """How a platform counts.

    ``REQUEST``: Cloud Run and functions of the 2nd generation, request-based: start-up, the time in
    which an instance has at least one request, shut-down; beside it the idle time of minimum
    instances. ``INSTANCE``: Cloud Run, instance-based: an instance's whole life. ``FIRST_GEN``:
    functions of the 1st generation: each call by itself.
    """

    REQUEST = "request"
    INSTANCE = "instance"
    FIRST_GEN = "first-gen"


class BillingRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of ``billing.toml``."""

    round_up_s: Number
    shut_down_most_s: Number
    first_gen_ghz: Pairs


@dataclass(frozen=True)
class Billed:
    """What one mode counts until now.

    ``billable_s`` is instance time, rounded up as billed; ``vcpu_s`` and ``gib_s`` are that times
    the CPUs and memory of an instance, ``ghz_s`` the 1st generation's measure of CPU (0 elsewhere);
    the four ``idle_*`` are of minimum instances without a request, at their lower price.
    ``requests`` reached an instance; ``egress_bytes`` are the bodies of the answers.
    """

    mode: Mode
    instances: int
    requests: int
    billable_s: float
    vcpu_s: float
    gib_s: float
    ghz_s: float
    idle_s: float
    idle_vcpu_s: float
    idle_gib_s: float
    idle_ghz_s: float
    egress_bytes: int


@cache
def billing_rules() -> BillingRules:
    return msgspec.convert(tomllib.loads(DATA.read_text(encoding="utf-8")), BillingRules)


def rounded_up(seconds: float, step_s: float) -> float:
    """The next whole multiple of ``step_s``."""
    return math.ceil(seconds / step_s - CLOSE) * step_s


def busy_seconds(intervals: Iterable[tuple[float, float]], step_s: float) -> float:
    """Billable seconds of an instance that was busy in ``intervals`` (begin, end), in any order.

    Overlapping ones count once. The page does not say what is rounded up: here it is each stretch
    without a gap, and what begins before the rounded end of a stretch still belongs to it, so that
    no moment is billed twice.
    """
    busy = BusyTime(step_s)
    moments = [
        (at_s, change) for begin, end in intervals for at_s, change in ((begin, +1), (end, -1))
    ]
    for at_s, change in sorted(moments, key=lambda moment: (moment[0], -moment[1])):
        busy.change(change, at_s)
    return busy.seconds(math.inf)


@dataclass
class BusyTime:
    """The billable time of one instance as it goes on: see :func:`busy_seconds`."""

    step_s: float
    active: int = 0  # requests, and the start-up or shut-down
    _settled_s: float = 0.0
    _begun_s: float | None = None
    _paid_until_s: float = -math.inf

    def change(self, change: int, at_s: float) -> None:
        """So many more or fewer things keep the instance busy from ``at_s`` on."""
        if not self.active and change > 0 and at_s >= self._paid_until_s:
            self._settled_s = self.seconds(at_s)
            self._begun_s = at_s
        self.active += change
        if not self.active and change < 0 and self._begun_s is not None:
            self._paid_until_s = self._begun_s + rounded_up(at_s - self._begun_s, self.step_s)

    def seconds(self, now_s: float) -> float:
        """Until ``now_s``, the stretch that goes on rounded up."""
        if self._begun_s is None:
            return self._settled_s
        if self.active:
            return self._settled_s + rounded_up(now_s - self._begun_s, self.step_s)
        return self._settled_s + self._paid_until_s - self._begun_s


@dataclass
class _Alive:
    """One instance that has not ended."""

    started_s: float
    busy: BusyTime
    stopping_s: float | None = None

    def end_s(self, now_s: float, shut_down_most_s: float) -> float:
        """Until when its life is billed."""
        return now_s if self.stopping_s is None else min(now_s, self.stopping_s + shut_down_most_s)


@dataclass
class BillingMeter:
    """The meter of one deployment: tell it what happens, in the order of time."""

    cpu: float
    memory_mib: int
    concurrency: int = 1
    min_instances: int = 0
    rules: BillingRules = field(default_factory=billing_rules)
    _alive: dict[str, _Alive] = field(default_factory=dict)
    _instances: int = 0
    _requests: int = 0
    _egress_bytes: int = 0
    _busy_s: float = 0.0  # of instances that have ended
    _life_s: float = 0.0
    _calls_s: float = 0.0
    _idle_s: float = 0.0
    _idle_since_s: float = 0.0
    _idle_now: int = 0

    # Events

    def started(self, instance: str, at_s: float) -> None:
        """The platform begins to start an instance."""
        self._instances += 1
        self._alive[instance] = _Alive(at_s, BusyTime(self._step_s))
        self._changed(instance, +1, at_s)

    def ready(self, instance: str, at_s: float) -> None:
        """It takes requests from now on."""
        self._changed(instance, -1, at_s)

    def stopping(self, instance: str, at_s: float) -> None:
        """It was told to end (SIGTERM)."""
        self._alive[instance].stopping_s = at_s
        self._changed(instance, +1, at_s)

    def ended(self, instance: str, at_s: float) -> None:
        """It is gone, whatever it was doing."""
        alive = self._alive[instance]
        end_s = alive.end_s(at_s, self.rules.shut_down_most_s.value)
        self._changed(instance, -alive.busy.active, end_s)
        self._busy_s += alive.busy.seconds(end_s)
        self._life_s += rounded_up(end_s - alive.started_s, self._step_s)
        del self._alive[instance]
        self._count_idle(at_s)

    def request_began(self, instance: str, at_s: float, *, again: bool = False) -> None:
        """An instance gets a request; ``again``, when another one had failed it."""
        self._requests += not again
        self._changed(instance, +1, at_s)

    def request_ended(self, instance: str, began_s: float, at_s: float) -> None:
        """The instance has answered it; of one that has ended meanwhile, nothing is left to count
        but the call."""
        self._calls_s += rounded_up(at_s - began_s, self._step_s)
        if instance in self._alive:
            self._changed(instance, -1, at_s)

    def sent(self, egress_bytes: int) -> None:
        """So many bytes of an answer went to a client."""
        self._egress_bytes += egress_bytes

    # What it comes to

    def billed(self, now_s: float) -> list[Billed]:
        """Each mode's count until now; the 1st generation's only for what it could run."""
        alive = self._alive.values()
        most_s = self.rules.shut_down_most_s.value
        ends = [(each, each.end_s(now_s, most_s)) for each in alive]
        busy_s = self._busy_s + sum(each.busy.seconds(end_s) for each, end_s in ends)
        life_s = self._life_s + sum(
            rounded_up(end_s - each.started_s, self._step_s) for each, end_s in ends
        )
        idle_s = self._idle_s + self._idle_now * max(0.0, now_s - self._idle_since_s)
        counts = [
            self._billed(Mode.REQUEST, busy_s, idle_s),
            self._billed(Mode.INSTANCE, life_s, 0.0),
        ]
        ghz = dict(self.rules.first_gen_ghz.value).get(self.memory_mib)
        if ghz is not None and self.concurrency == 1:
            counts.append(self._billed(Mode.FIRST_GEN, self._calls_s, idle_s, ghz))
        return counts

    def _billed(self, mode: Mode, busy_s: float, idle_s: float, ghz: float = 0.0) -> Billed:
        cpu = 0.0 if mode is Mode.FIRST_GEN else self.cpu
        gib = self.memory_mib / MIB_OF_GIB
        return Billed(
            mode=mode,
            instances=self._instances,
            requests=self._requests,
            billable_s=busy_s,
            vcpu_s=busy_s * cpu,
            gib_s=busy_s * gib,
            ghz_s=busy_s * ghz,
            idle_s=idle_s,
            idle_vcpu_s=idle_s * cpu,
            idle_gib_s=idle_s * gib,
            idle_ghz_s=idle_s * ghz,
            egress_bytes=self._egress_bytes,
        )

    def _changed(self, instance: str, change: int, at_s: float) -> None:
        busy = self._alive[instance].busy
        was_busy = busy.active > 0
        busy.change(change, at_s)
        if was_busy != (busy.active > 0):
            self._count_idle(at_s)

    def _count_idle(self, at_s: float) -> None:
        """Of the minimum, what is neither busy nor starting is idle and billed as such."""
        self._idle_s += self._idle_now * max(0.0, at_s - self._idle_since_s)
        self._idle_since_s = at_s
        if self.min_instances:
            busy = sum(each.busy.active > 0 for each in self._alive.values())
            idle = len(self._alive) - busy
            self._idle_now = min(idle, max(0, self.min_instances - busy))

    @property
    def _step_s(self) -> float:
        return self.rules.round_up_s.value
