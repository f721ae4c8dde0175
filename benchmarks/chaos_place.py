"""Where chaos happens: a real platform, its records, and the ways to its processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import psutil

from twinserve.deployment import CONTAINER, Deployment, Kind
from twinserve.records.events import EventKind, InstanceEvent, read_events
from twinserve.runtime.capacity import Capacity
from twinserve.runtime.patience import Patience
from twinserve.runtime.platform import LocalPlatform
from twinserve.runtime.runner import RunnerChoice

T = TypeVar("T")
GIVE_UP_S = 120.0
PATIENCE = Patience()
MEMORY_MIB = 512
# More than the machine has, so that there are two instances: a retry can go to the other one.
ROOM = Capacity(cores=3, memory_mib=65536)
# Two full instances and some who wait, with 50 users.
CONCURRENCY = 20


class Failed(Exception):
    """The fault did not show, so that its row would prove nothing, or the platform did not get
    over it; says which."""


class Skipped(Exception):
    """The scenario cannot be done here; says why."""


@dataclass
class Place:
    """One platform with the deployment ``container`` in ``folder``.

    ``patience`` may be shorter than the gateway's own, so that a scenario takes seconds.
    """

    folder: Path
    choice: RunnerChoice
    model: str
    patience: Patience = PATIENCE
    memory_mib: int = MEMORY_MIB
    give_up_s: float = GIVE_UP_S
    engine: Any = None  # the service that the scenario began, if any
    platform: LocalPlatform = field(init=False)
    _stack: ExitStack = field(init=False)

    @property
    def deployment(self) -> Deployment:
        return Deployment(
            CONTAINER,
            Kind.CONTAINER,
            self.model,
            concurrency=CONCURRENCY,
            min_instances=2,
            max_instances=2,
            memory_mib=self.memory_mib,
        )

    def __enter__(self) -> Place:
        self._stack = ExitStack()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open(self, port: int = 0) -> None:
        """Start a platform; once more on the same ``port`` after the one before has died."""
        platform = LocalPlatform(
            [self.deployment],
            ports={CONTAINER: port},
            events=self.folder / "instances.jsonl",
            resources=self.folder / "resources.csv",
            billing=self.folder / "billing.csv",
            log=self.folder / "instances.log",
            capacity=ROOM,
            runner=self.choice,
            patience=self.patience,
        )
        self.platform = self._stack.enter_context(platform)

    @property
    def url(self) -> str:
        return self.platform.urls[CONTAINER]

    async def status(self) -> Any:
        """What the gateway says of itself."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GIVE_UP_S)) as session,
            session.get(f"{self.url}/_gateway/status") as answer,
        ):
            return await answer.json()

    async def ready(self, count: int = 1) -> list[Any]:
        """The instances that take requests, once there are so many."""
        return await until(lambda: self._ready(count))

    async def gone(self, name: str) -> None:
        """Returns when the gateway has no such instance any more."""

        async def look() -> bool:
            status = await self.status()
            return name not in {each["name"] for each in status["instances"]}

        await until(look)

    async def settled(self) -> Any:
        """The gateway's status once no request is left in it."""

        async def look() -> Any:
            status = await self.status()
            left = status["requests"]["here"] + status["in_flight"] + status["queued"]
            return None if left else status

        return await until(look)

    def events(self, name: str = "") -> list[InstanceEvent]:
        """What was written down of an instance, or of all."""
        found = read_events(self.folder / "instances.jsonl")
        return [event for event in found if not name or event.instance == name]

    def killed(self, name: str) -> str:
        """Why the instance ended, by the record.

        Raises:
            Failed: it did not end by itself.
        """
        for event in self.events(name):
            if event.event is EventKind.KILLED:
                return event.detail
        raise Failed(f"the record does not say that {name} ended")

    async def _ready(self, count: int) -> list[Any] | None:
        instances = (await self.status())["instances"]
        found = [each for each in instances if each["state"] == "ready"]
        return found if len(found) >= count else None


def processes(instance: Any) -> list[psutil.Process]:
    """An instance's first process and its workers, as this machine sees them."""
    if instance["pid"] is None:
        raise Skipped("the engine's processes are not this machine's")
    leader = psutil.Process(instance["pid"])
    return [leader, *leader.children(recursive=True)]


def busiest(instances: list[Any]) -> Any:
    """The instance with the most requests."""
    return max(instances, key=lambda each: each["in_flight"])


async def until(look: Callable[[], Any]) -> Any:
    """What ``look`` returns, awaited if need be, once that is true.

    Raises:
        Failed: it takes far too long.
    """
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        found = look()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.05)
    raise Failed(f"nothing seen for {GIVE_UP_S:g} s of what {look.__qualname__} waits for")
