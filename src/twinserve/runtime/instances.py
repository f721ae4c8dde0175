"""One instance of a deployment as real processes: started, watched until ready, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import psutil

from twinserve.deployment import Deployment
from twinserve.errors import RuntimeFailure
from twinserve.records.events import StartStages
from twinserve.runtime.capacity import usable_cpus
from twinserve.runtime.commands import (
    ASKED,
    HOST,
    instance_command,
    instance_environment,
)
from twinserve.runtime.owner import VARIABLE, Owner
from twinserve.runtime.pinning import CAN_PIN, cpus_of
from twinserve.runtime.process_ties import tied_to_parent
from twinserve.runtime.readiness import NotReady, until_ready
from twinserve.runtime.readings import Usage, read_usage
from twinserve.runtime.runner import STOP_WITHIN_S
from twinserve.runtime.watch import DeathWatch

POLL_S = 0.05
PORT_ATTEMPTS = 3
TAIL_LINES = 8


class InstanceLog:
    """Where instances write their output: a file of the run, else one without a name.

    Without a path the lines are kept only so that a failed start can say why.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a+b") if path else tempfile.TemporaryFile()  # noqa: SIM115

    def fileno(self) -> int:
        return self._file.fileno()

    @property
    def size(self) -> int:
        return os.fstat(self.fileno()).st_size

    def tail(self, since: int) -> str:
        """The last lines written after the first ``since`` bytes."""
        start = max(since, self.size - 16384)
        text = os.pread(self.fileno(), self.size - start, start).decode(errors="replace")
        return "\n".join([line for line in text.splitlines() if line.strip()][-TAIL_LINES:])

    def add(self, text: bytes) -> None:
        """Append what a container wrote; a full disk costs the lines alone."""
        with suppress(OSError):
            os.write(self.fileno(), text)

    def close(self) -> None:
        self._file.close()


class ProcessRunner:
    """Runs instances as plain processes, each on CPUs of its own where the system can pin."""

    def __init__(self, log: InstanceLog) -> None:
        self._log = log
        self._owner = Owner.this()

    def instance(self, name: str, deployment: Deployment, place: int) -> ProcessInstance:
        cpus = cpus_of(place, deployment.cpu, usable_cpus())
        return ProcessInstance(name, deployment, cpus, self._log, self._owner)


class ProcessInstance:
    """A process group of its own that serves one deployment on a port of 127.0.0.1.

    It must be started from the main thread: Linux ends it when the thread that started it ends.
    """

    def __init__(
        self,
        name: str,
        deployment: Deployment,
        cpus: tuple[int, ...],
        log: InstanceLog,
        owner: Owner,
    ) -> None:
        self.name = name
        self.deployment = deployment
        self.cpus = cpus if CAN_PIN else ()
        self.port = 0
        self.stages: StartStages | None = None
        self._log = log
        self._owner = owner
        self._private: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._logged_before = 0
        self._stopped = False
        self._end = asyncio.Event()
        self._end_reason = ""
        self._watch = DeathWatch(self._noticed)

    @property
    def placement(self) -> str:
        cpus = " and ".join(str(cpu) for cpu in self.cpus)
        return f"on CPU {cpus}" if cpus else "on any CPU"

    @property
    def given_cpu(self) -> None:
        """Plain processes have no quota."""

    @property
    def pid(self) -> int | None:
        """The process that leads the instance; None before it was started."""
        return self._process.pid if self._process else None

    async def start(self, session: aiohttp.ClientSession) -> None:
        """Start the processes and wait until ``GET /readyz`` answers 200.

        Raises:
            RuntimeFailure: they ended or were not ready in time; the log's last lines are in it.
        """
        for attempt in range(PORT_ATTEMPTS):
            self._spawn()
            try:
                self.stages = await until_ready(session, self.port, self._end)
            except NotReady as reason:
                failure = self._failure(self._end_reason or str(reason))
                taken = "in use" in self._log.tail(self._logged_before)
                if not taken or self._stopped or attempt == PORT_ATTEMPTS - 1:
                    raise failure from None
                await self.kill()
                if self._stopped:
                    raise failure from None
            else:
                self._watch_workers()
                return

    @property
    def is_ending(self) -> bool:
        return self._end.is_set()

    async def ended(self) -> str:
        """Wait until the instance, or a worker of it, has ended; returns what happened."""
        await self._end.wait()
        return self._end_reason

    async def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """SIGTERM to the group, ``within_s`` seconds to finish, then SIGKILL."""
        self._stopped = True
        self._signal_group(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._process is not None and self._process.poll() is None:
                    await asyncio.sleep(POLL_S)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL to whatever is left of the group, and reap it."""
        self._signal_group(signal.SIGKILL)
        while self._process is not None and self._process.poll() is None:
            await asyncio.sleep(POLL_S)

    def close(self) -> None:
        """Give back what belonged to the instance; its processes must be gone."""
        self._watch.close()
        if self._private is not None:
            self._private.cleanup()

    def give_cpu(self, cpus: float) -> None:
        """Nothing: plain processes have no quota that could be changed."""

    def usage(self) -> Usage | None:
        """What the group has used until now."""
        return None if self._process is None else read_usage(self._process.pid)

    def _spawn(self) -> None:
        self._end.clear()
        self._end_reason = ""
        self._logged_before = self._log.size
        self.port = free_port()
        self._process = subprocess.Popen(
            instance_command(self.deployment, self.port),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log.fileno(),
            stderr=self._log.fileno(),
            start_new_session=True,
            preexec_fn=tied_to_parent(os.getpid(), self.cpus),
        )
        self._watch.add(self._process.pid)

    def _environment(self) -> dict[str, str]:
        if self._private is None:
            self._private = tempfile.TemporaryDirectory(
                prefix="twinserve-", ignore_cleanup_errors=True
            )
        private = Path(self._private.name)
        found = instance_environment(self.deployment, self.port, os.environ, private)
        return found | {VARIABLE: self._owner.label, ASKED: str(time.time() * 1000)}

    def _failure(self, reason: str) -> RuntimeFailure:
        lines = self._log.tail(self._logged_before) or "(it wrote nothing)"
        return RuntimeFailure(
            f"{self.name} could not be started: {reason}. Its last lines:\n{lines}"
        )

    def _watch_workers(self) -> None:
        """Watch the server's workers too: gunicorn would restart a killed one behind our back,
        and a cold start would go unmarked."""
        with suppress(psutil.NoSuchProcess):
            for worker in psutil.Process(self.pid).children(recursive=True):
                self._watch.add(worker.pid)

    def _noticed(self, pid: int) -> None:
        if self._end.is_set():
            return
        self._end_reason = self._how_it_ended(pid)
        self._end.set()

    def _how_it_ended(self, pid: int) -> str:
        if self._process is None or pid != self._process.pid:
            return f"its worker (process {pid}) ended"
        code = self._process.wait()
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with exit code {code}"

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
