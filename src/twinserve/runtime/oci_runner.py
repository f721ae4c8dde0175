"""Instances as containers: CPU quota, memory limit, read-only root, no capabilities."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import TypeVar

import aiohttp
import psutil

from twinserve.bundle.cpu import VARIABLE as CPU_VARIABLE
from twinserve.deployment import Deployment
from twinserve.errors import RuntimeFailure
from twinserve.records.events import StartStages
from twinserve.runtime.cgroup import Cgroup
from twinserve.runtime.commands import ASKED, IMAGE_PORT, cloud_environment, image_command
from twinserve.runtime.instances import TAIL_LINES, InstanceLog
from twinserve.runtime.oci_engine import ContainerSpec, Engine, EngineGone, Seen
from twinserve.runtime.owner import LABEL, Owner
from twinserve.runtime.readiness import NotReady, until_ready
from twinserve.runtime.readings import Usage, cgroup_usage, engine_usage
from twinserve.runtime.runner import STOP_WITHIN_S
from twinserve.runtime.watch import DeathWatch

T = TypeVar("T")
POLL_S = 0.05
TOLD_WITHIN_S = 0.3  # the engine's own news of a container's end
LEAST_CPU = 0.01  # the smallest quota that engines and kernels take


class Means(Enum):
    """How the CPU quota of a running container can be changed: not at all, by the engine (in tens
    of ms: good enough for the boost, too slow between two requests), or by the control group."""

    NONE = "not at all"
    ENGINE = "by the engine"
    CGROUP = "by the control group"


class OciRunner:
    """Runs instances as containers of one engine.

    ``images`` has the image of each deployment by its name; ``commands`` replaces what one runs;
    ``say`` gets a sentence, once, where the engine's containers cannot be given the CPU that a
    policy allots from moment to moment.
    """

    def __init__(
        self,
        engine: Engine,
        images: Mapping[str, str],
        log: InstanceLog,
        commands: Mapping[str, Sequence[str]] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._images = images
        self._log = log
        self._owner = Owner.this()
        self._commands = dict(commands or {})
        self._say = say
        self._said = False

    def instance(self, name: str, deployment: Deployment, place: int) -> ContainerInstance:  # noqa: ARG002
        spec = ContainerSpec(
            name=f"twinserve-{self._owner.pid}-{name}",
            image=self._images[deployment.name],
            command=self._commands.get(deployment.name) or image_command(deployment.kind),
            environment={
                **cloud_environment(deployment, IMAGE_PORT),
                # Threads follow from this: the boost at the start would ask for too many.
                CPU_VARIABLE: f"{deployment.cpu:g}",
            },
            labels={LABEL: self._owner.label, "twinserve.instance": name},
            cpu=deployment.cpu,
            memory_mib=deployment.memory_mib,
        )
        return ContainerInstance(name, spec, self._engine, self._log, self._say_once)

    def _say_once(self, sentence: str) -> None:
        if not self._said:
            self._said = True
            self._say(sentence)


class ContainerInstance:
    """One container that serves a deployment.

    Where this machine sees its processes (an engine on the same Linux), their end is noticed at
    once, a worker's too, and figures are read from the cgroup. Elsewhere (an engine in a virtual
    machine) the engine is asked for both, and a worker's end stays inside.
    """

    def __init__(
        self,
        name: str,
        spec: ContainerSpec,
        engine: Engine,
        log: InstanceLog,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.port = 0
        self.cpus: tuple[int, ...] = ()
        self.stages: StartStages | None = None
        self._spec = spec
        self._engine = engine
        self._log = log
        self._id: str | None = None
        self._process: psutil.Process | None = None
        self._cgroup: Cgroup | None = None
        self._stopped = False
        self._end = asyncio.Event()
        self._end_reason = ""
        self._ending: asyncio.Task[None] | None = None
        self._say = say
        self._means: Means | None = None  # None until it runs
        self._wanted_cpu = self._given_cpu = spec.cpu
        self._giving: asyncio.Task[None] | None = None
        self._watch = DeathWatch(self._noticed)

    @property
    def placement(self) -> str:
        return f"on any CPU, {self._spec.cpu:g} by quota"

    @property
    def given_cpu(self) -> float:
        """The CPUs that its quota allows it now."""
        return self._given_cpu

    @property
    def pid(self) -> int | None:
        """The container's first process as this machine numbers it, if it sees it."""
        return self._process.pid if self._process else None

    async def start(self, session: aiohttp.ClientSession) -> None:
        """Make and start the container, and wait until ``GET /readyz`` answers 200.

        Raises:
            RuntimeFailure: the engine refused or is gone, or the container ended or was not ready
                in time; its last lines are in the message.
        """
        await self._create()
        try:
            self.stages = await until_ready(session, self.port, self._end)
        except NotReady as reason:
            raise await self._failure(self._end_reason or str(reason)) from None
        self._watch_workers()

    @property
    def is_ending(self) -> bool:
        return self._ending is not None

    async def ended(self) -> str:
        """Wait until the container, or a worker in it, has ended; returns what happened."""
        await self._end.wait()
        return self._end_reason

    async def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """SIGTERM to its first process, ``within_s`` seconds to finish, then SIGKILL."""
        self._stopped = True
        await self._signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._until_dead(), within_s)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL to whatever is left of it, keep its log, and remove it.

        An engine that is gone cannot remove it; the next run will.
        """
        if self._id is None:
            return
        await self._signal(signal.SIGKILL)
        await self._until_dead()
        with suppress(RuntimeFailure):
            self._log.add(await self._logged())
            await asyncio.to_thread(self._engine.remove, self._id)
        self._id = None

    def close(self) -> None:
        """Watch no more."""
        self._watch.close()

    def give_cpu(self, cpus: float) -> None:
        """By the control group at once; by the engine soon, and only what is worth its time."""
        self._wanted_cpu = max(cpus, LEAST_CPU)
        if self._means is Means.CGROUP and self._cgroup and self._wanted_cpu != self._given_cpu:
            with suppress(OSError):  # it has just ended
                self._cgroup.hold_to(self._wanted_cpu)
                self._given_cpu = self._wanted_cpu
        if self._means is Means.ENGINE and self._giving is None:
            wanted = max(cpus, self._spec.cpu)
            if wanted != self._given_cpu:
                self._giving = asyncio.get_running_loop().create_task(self._give(wanted))

    def usage(self) -> Usage | None:
        """What the container has used, by its cgroup, else as the engine tells it."""
        if self._cgroup is not None:
            return cgroup_usage(self._cgroup)
        with suppress(RuntimeFailure):
            return engine_usage(self._engine.stats(self._id), self._spec.cpu) if self._id else None
        return None

    async def _create(self) -> None:
        environment = {**self._spec.environment, ASKED: str(time.time() * 1000)}
        spec = replace(self._spec, environment=environment)
        self._id = await asyncio.to_thread(self._engine.create, spec)
        if self._stopped:
            raise RuntimeFailure(f"{self.name} was stopped before it had started.")
        await asyncio.to_thread(self._engine.start, self._id)
        seen = await asyncio.to_thread(self._engine.look, self._id)
        if seen is None or not seen.running:
            raise await self._failure(_how_it_ended(seen))
        self.port = seen.port
        self._watch_over(seen.pid)
        await self._find_means()

    async def _find_means(self) -> None:
        """What it is due from the start on (boost) goes to it at once, which shows what works."""
        if self._cgroup is not None and self._cgroup.can_hold:
            self._means = Means.CGROUP
            self.give_cpu(self._wanted_cpu)
        else:
            self._means = Means.ENGINE
            await self._give(max(self._wanted_cpu, self._spec.cpu))
            if self._means is Means.ENGINE:
                self._say(
                    "The control groups of the containers are not ours to change, so instances "
                    "keep their CPU between requests; the boost at their start is enforced."
                )

    async def _give(self, cpus: float) -> None:
        """By the engine; one that cannot is not asked again."""
        try:
            await asyncio.to_thread(self._engine.hold_to, self._id or "", cpus)
            self._given_cpu = cpus
        except EngineGone:
            return  # it may come back
        except RuntimeFailure as error:
            if self._means is Means.ENGINE and not self._end.is_set():
                self._means = Means.NONE
                self._say(f"Instances keep their CPU between requests and get no boost: {error}")
        finally:
            self._giving = None

    def _watch_over(self, pid: int) -> None:
        cgroup = Cgroup.of(pid) if pid else None
        if cgroup is not None and self._id and cgroup.names(self._id):
            self._cgroup = cgroup
            with suppress(psutil.NoSuchProcess):
                self._process = psutil.Process(pid)
            self._watch.add(pid)
            return
        loop = asyncio.get_running_loop()
        waiting = threading.Thread(target=self._wait, args=(self._id, loop), daemon=True)
        waiting.start()

    def _wait(self, container: str, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of its own: an engine that goes away meanwhile ends no container."""
        while True:
            try:
                self._engine.wait(container)
                break
            except RuntimeFailure:
                time.sleep(1)
        with suppress(RuntimeError):  # the loop is closed: nobody waits for the news
            loop.call_soon_threadsafe(self._noticed, 0)

    def _watch_workers(self) -> None:
        """gunicorn would restart a killed worker behind our back: a cold start would go unmarked,
        and running out of memory, which ends a platform's instance, would only be a delay."""
        if self._process is not None:
            with suppress(psutil.NoSuchProcess):
                for worker in self._process.children(recursive=True):
                    self._watch.add(worker.pid)

    def _noticed(self, pid: int) -> None:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._conclude(pid))

    async def _conclude(self, pid: int) -> None:
        """Say why, then that it ended; that above all: requests wait for it."""
        try:
            self._end_reason = await self._why(pid)
        finally:
            self._end.set()

    async def _why(self, pid: int) -> str:
        found = self._cgroup.read() if self._cgroup else None
        if found is not None and found.oom_kills:
            return _out_of_memory(self._spec.memory_mib)
        if pid not in (0, self.pid) and await self._outlives_a_worker():
            return f"its worker (process {pid}) ended"
        return await self._engines_word()

    async def _outlives_a_worker(self) -> bool:
        """When the first process dies, the kernel ends the others before that shows."""
        await asyncio.sleep(POLL_S)
        return self._process is not None and _lives(self._process)

    async def _engines_word(self) -> str:
        """The engine's news may lag behind the end of the process, and it may be gone itself."""
        seen: Seen | None = None
        with suppress(RuntimeFailure, TimeoutError):
            async with asyncio.timeout(TOLD_WITHIN_S):
                while (seen := await self._look()) is not None and seen.running:
                    await asyncio.sleep(POLL_S)
        if seen is not None and seen.out_of_memory:
            return _out_of_memory(self._spec.memory_mib)
        return _how_it_ended(seen)

    async def _signal(self, number: signal.Signals) -> None:
        """By the engine, else directly where the process is ours to signal."""
        if self._id is None:
            return
        try:
            await asyncio.to_thread(self._engine.signal, self._id, number)
        except EngineGone:
            if self._process is not None:
                with suppress(psutil.Error):
                    self._process.send_signal(number)

    async def _until_dead(self) -> None:
        while self._id is not None and await self._is_running():
            await asyncio.sleep(POLL_S)

    async def _is_running(self) -> bool:
        if self._process is not None:
            return _lives(self._process)
        try:
            seen = await self._look()
        except RuntimeFailure:
            return False
        return seen is not None and seen.running

    async def _look(self) -> Seen | None:
        return await asyncio.to_thread(self._engine.look, self._id or "")

    async def _logged(self) -> bytes:
        return await asyncio.to_thread(self._engine.logs, self._id or "")

    async def _failure(self, reason: str) -> RuntimeFailure:
        text = ""
        with suppress(RuntimeFailure):
            text = (await self._logged()).decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]
        said = "\n".join(lines) or "(it wrote nothing)"
        return RuntimeFailure(
            f"{self.name} could not be started: {reason}. Its last lines:\n{said}"
        )


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _how_it_ended(seen: Seen | None) -> str:
    if seen is None:
        return "its container was removed"
    if seen.running:
        return "its container ended"
    if seen.exit_code > 128:
        with suppress(ValueError):
            return f"it was ended by {signal.Signals(seen.exit_code - 128).name}"
    return f"it ended with exit code {seen.exit_code}"


def _out_of_memory(limit_mib: int) -> str:
    return f"it ran out of memory (its limit is {limit_mib} MiB)"
