"""The local platform as the command line uses it: a supervisor in a process of its own."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from twinserve.deployment import Deployment
from twinserve.errors import RuntimeFailure
from twinserve.runtime.capacity import Capacity, host_capacity, instance_cap
from twinserve.runtime.inbound import STATUS_PATH
from twinserve.runtime.patience import Patience
from twinserve.runtime.pinning import limits_sentence
from twinserve.runtime.runner import RunnerChoice
from twinserve.runtime.supervisor import Configuration, Listening, News

LISTENS_WITHIN_S = 60.0
DRAINS_WITHIN_S = 15.0
ENDS_WITHIN_S = 5.0
LAST_LINES = 5
PLAIN_PROCESSES = RunnerChoice()
PATIENCE = Patience()


class _Seen(msgspec.Struct):
    given_cpu: float | None = None


class _Status(msgspec.Struct):
    instances: list[_Seen]


class LocalPlatform:
    """Runs deployments on this machine for as long as the ``with`` block lasts.

    The supervisor has a session of its own, so that Ctrl-C in the terminal reaches only us; when we
    die, however it happens, its standard input ends and it stops everything.

    Attributes:
        deployments: as they run, instances capped at what this machine carries.
        cap: a sentence a side, why there are no more instances.
        limits: a sentence a side, which limits hold here.
        runner: what runs the instances.
        notes: what there is to say once the platform runs; set inside the ``with`` block. What
            comes up later is told by :meth:`news`.
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
        patience: Patience = PATIENCE,
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
            patience=patience,
        )

    def __enter__(self) -> Self:
        """Start the supervisor and wait until every gateway listens.

        Raises:
            RuntimeFailure: it did not come up; its last lines are in the message.
        """
        self._errors = tempfile.TemporaryFile()
        self._heard, self._at_end = b"", False
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

    def is_boosted(self) -> bool:
        """Whether an instance has more CPU now than its deployment, since it has just started.

        Raises:
            RuntimeFailure: the supervisor has died.
        """
        self.check()
        return any(
            (each.given_cpu or 0.0) > deployment.cpu
            for side, deployment in self.deployments.items()
            for each in self._instances(side)
        )

    def _instances(self, side: str) -> list[_Seen]:
        connection = HTTPConnection(urlsplit(self.urls[side]).netloc, timeout=ENDS_WITHIN_S)
        try:
            connection.request("GET", STATUS_PATH)
            body = connection.getresponse().read()
        finally:
            connection.close()
        return msgspec.json.decode(body, type=_Status).instances

    def news(self) -> list[str]:
        """What there is to say since the last call, a sentence each."""
        return [msgspec.json.decode(line, type=News).news for line in self._lines(0)]

    def _hear(self) -> Listening:
        deadline = time.monotonic() + LISTENS_WITHIN_S
        while (left_s := deadline - time.monotonic()) > 0 and not self._at_end:
            for line in self._lines(left_s):
                return msgspec.json.decode(line, type=Listening)
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(ENDS_WITHIN_S if self._at_end else 0)
        raise RuntimeFailure(f"The local platform did not come up. {self._last_lines()}")

    def _lines(self, within_s: float) -> Iterator[bytes]:
        """Whole lines of the supervisor: those that are here, else what comes by then."""
        assert self._child.stdout is not None  # noqa: S101 - opened as a pipe above
        while b"\n" not in self._heard and not self._at_end:
            with selectors.DefaultSelector() as selector:
                selector.register(self._child.stdout, selectors.EVENT_READ)
                if not selector.select(within_s):
                    return
            data = os.read(self._child.stdout.fileno(), 65536)
            self._at_end = not data
            self._heard += data
        while b"\n" in self._heard:
            line, _, self._heard = self._heard.partition(b"\n")
            yield line

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
