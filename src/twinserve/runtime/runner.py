"""What runs instances: plain processes, Podman or Docker; what the three have in common.

A fleet knows only :class:`Runner` and :class:`Instance`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from twinserve.deployment import Deployment
from twinserve.records.events import StartStages
from twinserve.runtime.readings import Usage

PROCESS, PODMAN, DOCKER = "process", "podman", "docker"
RUNNERS = (PROCESS, PODMAN, DOCKER)
NAMES = {PODMAN: "Podman", DOCKER: "Docker"}
STOP_WITHIN_S = 10.0  # container contract: SIGTERM, 10 s, SIGKILL


class Instance(Protocol):
    """One running copy of a deployment, on a port of 127.0.0.1."""

    name: str
    port: int
    cpus: tuple[int, ...]  # that it is pinned to; empty: to none
    stages: StartStages | None  # of its start, once it is ready

    @property
    def placement(self) -> str:
        """Which CPUs it gets, in a few words."""
        ...

    @property
    def given_cpu(self) -> float | None:
        """The CPUs that its quota allows it now; None where it has none."""
        ...

    @property
    def pid(self) -> int | None:
        """Its first process, None before it runs or where this machine does not see it."""
        ...

    async def start(self, session: aiohttp.ClientSession) -> None:
        """Start it and wait until ``GET /readyz`` answers 200.

        Raises:
            RuntimeFailure: it ended or was not ready in time; its last lines are in the message.
        """
        ...

    @property
    def is_ending(self) -> bool:
        """Whether its end was noticed; :meth:`ended` returns once there is a reason, too."""
        ...

    async def ended(self) -> str:
        """Wait until it, or a worker of it, has ended; returns what happened."""
        ...

    async def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """SIGTERM, ``within_s`` seconds to finish, then SIGKILL."""
        ...

    async def kill(self) -> None:
        """SIGKILL to whatever is left of it; returns when nothing is."""
        ...

    def close(self) -> None:
        """Give back what belonged to it; it must be gone."""
        ...

    def give_cpu(self, cpus: float) -> None:
        """Hold it to so many CPUs from now on, where its runner can; never blocks."""
        ...

    def usage(self) -> Usage | None:
        """What it has used until now; blocks, so it is asked for in a thread."""
        ...


class Runner(Protocol):
    """Makes instances; ``place`` is 0 for the first that runs at a time, 1 for the second, …"""

    def instance(self, name: str, deployment: Deployment, place: int) -> Instance: ...


@dataclass(frozen=True)
class RunnerChoice:
    """Which runner, and with an engine the image of each deployment by its name."""

    name: str = PROCESS
    images: dict[str, str] = field(default_factory=dict)

    @property
    def in_containers(self) -> bool:
        return self.name != PROCESS
