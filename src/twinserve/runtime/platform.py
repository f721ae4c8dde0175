"""The local platform as the command line uses it: a supervisor in a process of its own."""

from __future__ import annotations

import selectors
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from twinserve.deployment import Deployment
from twinserve.errors import RuntimeFailure
from twinserve.runtime.capacity import Capacity, host_capacity, instance_cap
from twinserve.runtime.pinning import limits_sentence
from twinserve.runtime.runner import RunnerChoice
from twinserve.runtime.supervisor import Configuration, Listening

LISTENS_WITHIN_S = 60.0
DRAINS_WITHIN_S = 15.0
ENDS_WITHIN_S = 5.0
LAST_LINES = 5
PLAIN_PROCESSES = RunnerChoice()


class LocalPlatform:
    """Runs deployments on this machine for as long as the ``with`` block lasts.

    The supervisor has a session of its own, so that Ctrl-C in the terminal reaches only us; when we
    die, however it happens, its standard input ends and it stops everything.

    Attributes:
        deployments: as they run, instances capped at what this machine carries.
        cap: a sentence a side, why there are no more instances.
        limits: a sentence a side, which limits hold here.
        runner: what runs the instances.
        notes: what there is to say once the platform runs; set inside the ``with`` block.
        urls: a URL a side; set inside the ``with`` block.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        *,
        ports: Mapping[str, int] | None = None,
        events: Path | None = None,
        resources: Path | None = None,
        billing: Path | None = None,
        log: Path | None = None,
        capacity: Capacity | None = None,
        runner: RunnerChoice = PLAIN_PROCESSES,
    ) -> None:
        here = capacity or host_capacity()
        caps = {each.name: instance_cap(here, each) for each in deployments}
        self.deployments = {
            each.name: each.with_at_most(caps[each.name].instances) for each in deployments
        }
        self.cap = {name: cap.sentence for name, cap in caps.items()}
        self.limits = {each.name: limits_sentence(each, runner.name) for each in deployments}
        self.runner = runner
        self.notes: list[str] = []
        self.urls: dict[str, str] = {}
        self._configuration = Configuration(
            deployments=list(self.deployments.values()),
            ports=dict(ports or {}),
            events=str(events) if events else None,
            resources=str(resources) if resources else None,
            billing=str(billing) if billing else None,
            log=str(log) if log else None,
            runner=runner,
        )

    def __enter__(self) -> Self:
        """Start the supervisor and wait until every gateway listens.

        Raises:
            RuntimeFailure: it did not come up; its last lines are in the message.
        """
        self._errors = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "twinserve.runtime"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        try:
            self._tell(msgspec.json.encode(self._configuration) + b"\n")
            heard = self._hear()
            self.urls, self.notes = heard.urls, heard.notes
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The supervisor's process."""
        return self._child.pid

    def check(self) -> None:
        """Returns while the supervisor runs.

        Raises:
            RuntimeFailure: it has died, and with it every instance.
        """
        code = self._child.poll()
        if code is not None:
            raise RuntimeFailure(
                f"The local platform died (exit code {code}). {self._last_lines()}"
            )

    def _tell(self, line: bytes) -> None:
        assert self._child.stdin is not None  # noqa: S101 - opened as a pipe above
        with suppress(BrokenPipeError):
            self._child.stdin.write(line)
            self._child.stdin.flush()

    def _hear(self) -> Listening:
        assert self._child.stdout is not None  # noqa: S101 - opened as a pipe above
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            heard = selector.select(LISTENS_WITHIN_S)
        line = self._child.stdout.readline() if heard else b""
        if not line:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(ENDS_WITHIN_S if heard else 0)
            raise RuntimeFailure(f"The local platform did not come up. {self._last_lines()}")
        return msgspec.json.decode(line, type=Listening)

    def _last_lines(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-LAST_LINES:]) or "It wrote nothing."

    def _end(self) -> None:
        """End of standard input, then SIGTERM, then SIGKILL; then instances end by themselves."""
        assert self._child.stdin is not None and self._child.stdout is not None  # noqa: S101 - pipes
        try:
            with suppress(BrokenPipeError):
                self._child.stdin.close()
            self._wait(DRAINS_WITHIN_S)
            self._child.terminate()
            self._wait(ENDS_WITHIN_S)
        finally:
            self._child.kill()
            self._child.wait()
            self._child.stdout.close()
            self._errors.close()

    def _wait(self, within_s: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(within_s)
