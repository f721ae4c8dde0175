"""A container engine by the Docker API: Docker's, or Podman's, which answers the same."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from twinserve.errors import RuntimeFailure
from twinserve.runtime.cgroup import PERIOD_US
from twinserve.runtime.commands import HOST, IMAGE_PORT
from twinserve.runtime.owner import LABEL, Owner
from twinserve.runtime.podman_service import PodmanService, podman_service
from twinserve.runtime.runner import DOCKER, NAMES, PODMAN

T = TypeVar("T")
ANSWERS_WITHIN_S = 30
PROBE_S = 10
EXTRA = "containers"
PODMAN_NAMED = "CONTAINER_HOST"


class EngineGone(RuntimeFailure):
    """The engine's socket does not answer."""


@dataclass(frozen=True)
class ContainerSpec:
    """One container to make: CPUs as quota, memory as a hard limit without swap."""

    name: str
    image: str
    command: Sequence[str]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    cpu: float
    memory_mib: int


@dataclass(frozen=True)
class Seen:
    """What the engine says of a container; ``pid`` is 0 once it has ended."""

    running: bool
    pid: int
    port: int
    exit_code: int
    out_of_memory: bool


class Engine:
    """Calls that block; each raises :class:`EngineGone` when the socket does not answer, and
    ``RuntimeFailure`` when the engine refuses. A ``service`` of our own that has died is started
    again, and the call repeated."""

    def __init__(
        self,
        name: str,
        url: str,
        timeout_s: float = ANSWERS_WITHIN_S,
        service: PodmanService | None = None,
    ) -> None:
        self.name = name
        self.url = url
        self._service = service
        self._errors = _sdk().errors
        self._broken = (self._errors.DockerException, OSError, _broken_connection())
        self._asked("answer", lambda: _knock(url))
        self._api = self._asked("answer", lambda: _sdk().APIClient(url, timeout=timeout_s))

    def create(self, spec: ContainerSpec) -> str:
        """Make a container, not started; returns its id.

        It may write nowhere but in memory, has no capabilities, and publishes its one port on a
        free port of 127.0.0.1.
        """
        # The image's health check is left out: the gateway asks for itself, and a check in the
        # middle of a measurement would use the instance's CPU.
        limits = self._api.create_host_config(
            cpu_quota=round(spec.cpu * PERIOD_US),
            cpu_period=PERIOD_US,
            mem_limit=spec.memory_mib << 20,
            memswap_limit=spec.memory_mib << 20,
            read_only=True,
            tmpfs={"/tmp": "rw,mode=1777"},  # noqa: S108 - inside the container
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            port_bindings={IMAGE_PORT: (HOST, None)},
            log_config={"Type": "json-file", "Config": {}},
        )
        make = lambda: self._api.create_container(  # noqa: E731
            spec.image,
            list(spec.command),
            name=spec.name,
            environment=dict(spec.environment),
            labels=dict(spec.labels),
            ports=[IMAGE_PORT],
            host_config=limits,
            healthcheck={"test": ["NONE"]},
        )
        try:
            return str(self._asked(f"make the container {spec.name}", make)["Id"])
        except self._errors.NotFound:
            raise RuntimeFailure(
                f"{NAMES[self.name]} has no image {spec.image}; build it with "
                f"`twinserve build container --engine {self.name}`."
            ) from None

    def start(self, container: str) -> None:
        """Start it.

        Raises:
            RuntimeFailure: it was removed meanwhile, or the engine cannot run it.
        """
        try:
            self._asked("start a container", lambda: self._api.start(container))
        except self._errors.NotFound:
            raise RuntimeFailure("its container was removed before it had started.") from None

    def look(self, container: str) -> Seen | None:
        """How it is; None when there is no such container any more."""
        with suppress(self._errors.NotFound):
            return _seen(self._asked("inspect", lambda: self._api.inspect_container(container)))
        return None

    def signal(self, container: str, number: int) -> None:
        """Send a signal; one that has ended already gets none."""
        try:
            self._asked("signal", lambda: self._api.kill(container, number))
        except EngineGone:
            raise
        except (self._errors.NotFound, RuntimeFailure):
            return  # it is not there, or does not run

    def hold_to(self, container: str, cpus: float) -> None:
        """Change the CPU quota of a running container; takes some tens of milliseconds.

        Podman's Docker API has no such call before version 5, its own has it since 4.3.

        Raises:
            RuntimeFailure: the engine cannot.
        """
        quota_us = round(cpus * PERIOD_US)
        change = lambda: self._api.update_container(  # noqa: E731
            container, cpu_quota=quota_us, cpu_period=PERIOD_US
        )
        if self.name == PODMAN:
            url = f"{self._api.base_url}/v4.3.0/libpod/containers/{container}/update"
            body = {"cpu": {"quota": quota_us, "period": PERIOD_US}}
            change = lambda: self._api._raise_for_status(self._api.post(url, json=body))  # noqa: E731
        try:
            self._asked("change a CPU quota", change)
        except self._errors.NotFound as error:
            raise RuntimeFailure(
                f"{NAMES[self.name]} cannot change the CPU quota of a running container ({error})."
            ) from None

    def remove(self, container: str) -> None:
        """End it at once and remove it; one that is gone is fine."""
        self.signal(container, signal.SIGKILL)  # else an engine waits for it first
        with suppress(self._errors.NotFound):
            self._asked("remove", lambda: self._api.remove_container(container, force=True, v=True))

    def wait(self, container: str) -> None:
        """Return when it has ended; takes as long as it runs."""
        with suppress(self._errors.NotFound):
            self._asked("wait", lambda: self._api.wait(container, timeout=None))

    def logs(self, container: str) -> bytes:
        """All that it wrote to standard output and error."""
        with suppress(self._errors.NotFound):
            return bytes(self._asked("read logs", lambda: self._api.logs(container)))
        return b""

    def stats(self, container: str) -> dict[str, Any]:
        """The engine's own reading of its usage."""
        with suppress(self._errors.NotFound):
            read = lambda: self._api.stats(container, stream=False, one_shot=True)  # noqa: E731
            return dict(self._asked("read figures", read))
        return {}

    def ping(self) -> None:
        self._asked("answer", self._api.ping)

    def remove_leftovers(self) -> int:
        """Remove every container whose owner has died; returns how many there were.

        Nothing without our label is touched, nor what belongs to a run that is going on.
        """
        return self._removed(_is_left_behind)

    def remove_owned(self) -> int:
        """Remove every container that is this process's own; returns how many there were."""
        mine = Owner.this().label
        return self._removed(lambda labels: labels.get(LABEL) == mine)

    def close(self) -> None:
        self._api.close()

    def _removed(self, wanted: Callable[[Mapping[str, str]], bool]) -> int:
        filters = {"label": [LABEL]}
        found = self._asked("list", lambda: self._api.containers(all=True, filters=filters))
        chosen = [each["Id"] for each in found if wanted(each.get("Labels") or {})]
        for container in chosen:
            self.remove(container)
        return len(chosen)

    def _asked(self, what: str, call: Callable[[], T]) -> T:
        life = self._service.life if self._service else 0
        try:
            return self._tried(what, call)
        except EngineGone:
            if self._service is None or not self._service.revived(life):
                raise
            return self._tried(what, call)

    def _tried(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._errors.NotFound:
            raise
        except self._errors.APIError as error:
            raise RuntimeFailure(
                f"{NAMES[self.name]} could not {what}: {error.explanation or error}"
            ) from error
        except self._broken as error:  # requests' errors are OSErrors
            raise EngineGone(
                f"{NAMES[self.name]} does not answer at {self.url} ({_cause(error)}); "
                f"{_how_to_start(self.name)}, or use --runner process."
            ) from error


@contextmanager
def opened_engine(name: str) -> Iterator[Engine]:
    """An engine that answers; a Podman without a socket gets a service that lives as long as we do.

    Must be entered in the main thread: the service ends with the thread that started it.

    Raises:
        RuntimeFailure: the engine is not installed, or does not answer.
    """
    engine = _answering(name)
    if engine is not None:
        with _closed(engine):
            yield engine
    elif name == PODMAN and sys.platform == "linux" and not os.environ.get(PODMAN_NAMED):
        with (
            podman_service() as service,
            _closed(Engine(PODMAN, service.url, service=service)) as own,
        ):
            yield own
    else:
        raise RuntimeFailure(
            f"{NAMES[name]} does not answer at {' or '.join(sockets(name))}; "
            f"{_how_to_start(name)}, or use --runner process."
        )


def sockets(name: str) -> list[str]:
    """Where an engine may listen: as its own variable says, else at its usual places."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if name == DOCKER:
        usual = ["/var/run/docker.sock", str(Path.home() / ".docker/run/docker.sock")]
        named = os.environ.get("DOCKER_HOST")
    else:
        usual = ["/run/podman/podman.sock", *([f"{runtime}/podman/podman.sock"] if runtime else [])]
        named = os.environ.get(PODMAN_NAMED)
    return [named] if named else [f"unix://{path}" for path in usual]


def _answering(name: str) -> Engine | None:
    """The engine at the first socket that answers; what is named but silent is an error."""
    for url in sockets(name):
        path = Path(url.removeprefix("unix://"))
        if url.startswith("unix://") and not path.is_socket():
            continue
        with suppress(EngineGone):
            Engine(name, url, PROBE_S).close()
            return Engine(name, url)
    return None


@contextmanager
def _closed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.close()


def _sdk() -> Any:
    """The ``docker`` package; it takes a while to import, and runs of processes need it not."""
    try:
        return import_module("docker")
    except ModuleNotFoundError as error:
        raise RuntimeFailure(
            f"Runners of containers need {error.name}, which the extra {EXTRA!r} brings: "
            f"pip install 'twinserve[{EXTRA}]'"
        ) from error


def _knock(url: str) -> None:
    """Raises ``OSError`` where nobody listens; the SDK, left to find out, leaks its socket."""
    if url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(url.removeprefix("unix://"))


def _broken_connection() -> Any:
    """What a connection that ends in the middle of an answer raises."""
    return import_module("urllib3.exceptions").HTTPError


def _seen(attributes: dict[str, Any]) -> Seen:
    state = attributes["State"]
    published = (attributes["NetworkSettings"].get("Ports") or {}).get(f"{IMAGE_PORT}/tcp") or []
    return Seen(
        running=bool(state.get("Running")),
        pid=int(state.get("Pid") or 0),
        port=int(published[0]["HostPort"]) if published else 0,
        exit_code=int(state.get("ExitCode") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
    )


def _is_left_behind(labels: Mapping[str, str]) -> bool:
    owner = Owner.parse(labels.get(LABEL, ""))
    return owner is not None and owner.is_gone


def _cause(error: BaseException) -> str:
    """The innermost reason: the outer ones only say that there was one."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def _how_to_start(name: str) -> str:
    if name == DOCKER:
        return "start Docker"
    return "start it (podman system service --time=0 &, or systemctl start podman.socket)"
