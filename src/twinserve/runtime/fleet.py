"""The instances of one deployment: as many as its bookkeeping wants, each watched to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import aiohttp

from twinserve.errors import TwinserveError
from twinserve.records.events import EventKind, EventWriter, InstanceEvent, StartStages
from twinserve.runtime.losses import Losses
from twinserve.runtime.readings import Target
from twinserve.runtime.runner import STOP_WITHIN_S, Instance, Runner
from twinserve.runtime.slots import Slots

LONGEST_PAUSE_S = 30.0
IDLE_AFTER_S = 1.0
SETTLE_S = 0.5
HUNG_STOP_S = 1.0


class Fleet:
    """Starts and stops instances of one deployment and writes down what happens to them.

    ``changed`` is called when places were won or lost, ``start_failed`` when a start failed.
    """

    def __init__(
        self,
        slots: Slots,
        events: EventWriter | None,
        losses: Losses,
        runner: Runner,
        session: aiohttp.ClientSession,
        changed: Callable[[], None],
        start_failed: Callable[[str], None],
    ) -> None:
        self._slots = slots
        self._events = events
        self._losses = losses
        self._runner = runner
        self._session = session
        self._changed = changed
        self._start_failed = start_failed
        self._running: dict[str, Instance] = {}
        self._places: dict[str, int] = {}
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._not_before_s = float("-inf")
        self._idle_noted: dict[str, float | None] = {}

    def grow(self) -> None:
        """Start what is wanted, unless the last start failed a moment ago."""
        if self.paused_s > 0:
            return
        for _ in range(self._slots.to_start()):
            instance = self._new_instance(self._slots.add(_now_s()))
            life = asyncio.create_task(self._live(instance))
            self._lives.add(life)
            life.add_done_callback(self._lives.discard)

    def shrink(self) -> None:
        """Stop what has been idle for too long; note what has become idle."""
        idle_s = self._slots.idle_s(_now_s())
        self._note_idle(idle_s)
        for name in self._slots.to_stop():
            self._begin_stop(name, f"idle for {idle_s[name]:.1f} s", STOP_WITHIN_S)

    def allot(self, *names: str) -> None:
        """Give instances (all, if none is named) the CPUs that the policy allots them now."""
        now_s = _now_s()
        for name in names or list(self._running):
            instance = self._running.get(name)
            if instance is not None and name in self._slots.instances:
                instance.give_cpu(self._slots.allotted_cpu(name, now_s))

    async def stop_all(self, within_s: float) -> None:
        """Stop every instance; returns when no process is left."""
        for name in list(self._running):
            self._begin_stop(name, "shutting down", within_s)
        while self._lives:
            await asyncio.wait(set(self._lives))

    def replace(self, name: str, reason: str) -> None:
        """Stop an instance that hangs: it has had its time to finish."""
        self._begin_stop(name, reason, HUNG_STOP_S)

    async def settled(self, name: str) -> None:
        """After a broken exchange: wait a moment for the news that the instance has ended, and if
        that was noticed, until it is off the books: the next try must not go there again."""
        instance = self._running.get(name)
        if instance is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(instance.ended(), SETTLE_S)
        if instance.is_ending:
            await instance.ended()
            await asyncio.sleep(0)  # lets the instance's life take it off the books

    def port(self, name: str) -> int | None:
        """Where the instance listens; None when it has just ended."""
        instance = self._running.get(name)
        return instance.port if instance else None

    @property
    def paused_s(self) -> float:
        """Seconds until a start may be tried again; 0 or less: now."""
        return self._not_before_s - _now_s()

    def targets(self) -> list[Target]:
        """What the resource recorder reads."""
        return [
            Target(
                side=self._slots.deployment.name,
                instance=name,
                read=instance.usage,
                started_s=slot.started_s,
                busy_requests=slot.in_flight,
            )
            for name, instance in self._running.items()
            if instance.port and (slot := self._slots.instances.get(name))
        ]

    def describe(self) -> list[dict[str, object]]:
        """The instances as the status page shows them."""
        return [
            {
                "name": name,
                "state": self._slots.instances[name].state.value,
                "in_flight": self._slots.instances[name].in_flight,
                "pid": instance.pid,
                "port": instance.port,
                "cpus": list(instance.cpus),
                "given_cpu": instance.given_cpu,
            }
            for name, instance in self._running.items()
            if name in self._slots.instances
        ]

    def _new_instance(self, name: str) -> Instance:
        taken = self._places.values()
        place = next(place for place in range(len(taken) + 1) if place not in taken)
        self._places[name] = place
        self._running[name] = self._runner.instance(name, self._slots.deployment, place)
        return self._running[name]

    async def _live(self, instance: Instance) -> None:
        """One instance from start to end."""
        name = instance.name
        self._note(name, EventKind.START, instance.placement)
        try:
            await instance.start(self._session)
            if name not in self._stops:
                self._became_ready(name)
            reason = await instance.ended()
            if name not in self._stops:
                self._note(name, EventKind.KILLED, reason)
        except Exception as error:  # whatever it was, it must not become an endless restart
            if name not in self._stops:
                self._could_not_start(name, error)
        finally:
            await self._bury(instance)

    async def _bury(self, instance: Instance) -> None:
        """A dead one goes off the books first, so that what waits is served elsewhere at once."""
        name = instance.name
        if name in self._stops:
            await self._stops[name]
        self._stops.pop(name, None)
        self._slots.remove(name, _now_s())
        self._places.pop(name, None)
        self._idle_noted.pop(name, None)
        self._changed()
        try:
            with suppress(TwinserveError, OSError):  # the next run removes what is left of it
                await instance.kill()
        finally:
            instance.close()
            del self._running[name]

    def _became_ready(self, name: str) -> None:
        self._failures = 0
        start_s = self._slots.ready(name, _now_s())
        self._note(
            name,
            EventKind.READY,
            start_ms=round(start_s * 1000, 3),
            stages=self._running[name].stages,
        )
        self._changed()

    def _could_not_start(self, name: str, error: Exception) -> None:
        """Note it, and pause before the next try: 1, 2, 4, ... seconds, at most 30."""
        self._note(name, EventKind.FAILED, str(error))
        self._not_before_s = _now_s() + min(2.0**self._failures, LONGEST_PAUSE_S)
        self._failures += 1
        self._slots.stopping(name, _now_s())  # it counts no more when those who wait are told
        self._start_failed(str(error))

    def _begin_stop(self, name: str, reason: str, within_s: float) -> None:
        """Its CPUs are free for the next instance at once: it has no more work to do on them."""
        if name in self._stops or name not in self._slots.instances:
            return
        self._slots.stopping(name, _now_s())
        self.allot(name)
        self._places.pop(name, None)
        self._stops[name] = asyncio.create_task(self._stop(name, reason, within_s))

    async def _stop(self, name: str, reason: str, within_s: float) -> None:
        await self._running[name].stop(within_s)
        self._note(name, EventKind.STOP, reason)

    def _note_idle(self, idle_s: dict[str, float]) -> None:
        """An IDLE event for each idle time of a second or more, not one after every request."""
        for name, seconds in idle_s.items():
            since_s = self._slots.instances[name].idle_since_s
            if seconds >= IDLE_AFTER_S and self._idle_noted.get(name) != since_s:
                self._idle_noted[name] = since_s
                self._note(name, EventKind.IDLE, ago_s=seconds)

    def _note(
        self,
        name: str,
        event: EventKind,
        detail: str = "",
        *,
        start_ms: float | None = None,
        stages: StartStages | None = None,
        ago_s: float = 0.0,
    ) -> None:
        if self._events is not None:
            at_ms = round((time.time() - ago_s) * 1000, 3)
            side = self._slots.deployment.name
            with self._losses.counted("instances.jsonl"):
                self._events.add(InstanceEvent(at_ms, side, name, event, detail, start_ms, stages))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
