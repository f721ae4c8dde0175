"""Real containers as instances: limits in force, figures, ends, leftovers.

Skipped with a reason where no engine works; see ``tests/containers.py``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from twinserve.analysis.throttling import Throttled, throttled_instances
from twinserve.deployment import CONTAINER, FUNCTION, Deployment, Kind
from twinserve.errors import RuntimeFailure
from twinserve.records.events import EventKind, EventWriter, InstanceEvent, read_events
from twinserve.records.resources import ResourceWriter, read_resources
from twinserve.runtime.cgroup import Cgroup
from twinserve.runtime.gateway import Gateway
from twinserve.runtime.instances import InstanceLog
from twinserve.runtime.oci_engine import Engine, EngineGone, opened_engine, sockets
from twinserve.runtime.oci_runner import OciRunner
from twinserve.runtime.owner import LABEL, Owner
from twinserve.runtime.platform import LocalPlatform
from twinserve.runtime.readings import ResourceRecorder
from twinserve.runtime.runner import PODMAN, RunnerChoice

T = TypeVar("T")
GIVE_UP_S = 120.0  # no assertion: only so that a broken platform does not hang the tests
BUSY = Path(__file__).with_name("busy_instance.py")
MEMORY_MIB = 512
# Read from inside: version 1 or 2, whichever this machine has.
LIMITS = """
import json, os, pathlib
root = pathlib.Path("/sys/fs/cgroup")
def read(*names):
    for name in names:
        if (root / name).exists():
            return (root / name).read_text().split()
quota, period = read("cpu.max") or read("cpu/cpu.cfs_quota_us") + read("cpu/cpu.cfs_period_us")
try:
    open("/app/written", "w")
    written = True
except OSError:
    written = False
status = pathlib.Path("/proc/self/status").read_text()
print(json.dumps({
    "cpu": int(quota) / int(period),
    "memory": int(read("memory.max", "memory/memory.limit_in_bytes")[0]),
    "written": written,
    "uid": os.getuid(),
    "capabilities": int(status.split("CapEff:")[1].split()[0], 16),
}))
"""


class Running:
    """A platform whose instances are containers, with its records."""

    def __init__(self, platform: LocalPlatform, folder: Path) -> None:
        self.platform = platform.__enter__()
        self.folder = folder

    def ask(self, side: str, path: str = "/generate", body: bytes | None = b'{"seed": 7}') -> Any:
        """Status, headers and JSON of an answer; GET where there is no body."""
        connection = HTTPConnection(urlsplit(self.platform.urls[side]).netloc, timeout=GIVE_UP_S)
        try:
            method = "GET" if body is None else "POST"
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())
        finally:
            connection.close()

    def instance(self, side: str) -> Any:
        """The side's only instance as the gateway describes it."""
        return until(lambda: self.ask(side, "/_gateway/status", None)[2]["instances"])[0]

    def events(self, side: str) -> list[InstanceEvent]:
        return [e for e in read_events(self.folder / "instances.jsonl") if e.side == side]

    def close(self) -> None:
        self.platform.__exit__(None, None, None)


def until(look: Callable[[], T]) -> T:
    """What ``look`` returns, once that is true."""
    deadline = time.monotonic() + GIVE_UP_S
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(look)
        time.sleep(0.05)
    return found


def deployment(side: str, **fields: Any) -> Deployment:
    values = {
        "concurrency": 80 if side == CONTAINER else 1,
        "max_instances": 1,
        "memory_mib": MEMORY_MIB,
        **fields,
    }
    return Deployment(side, Kind(side), "in the image", **values)


@pytest.fixture
def start(container_image: Any, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """``start(*deployments)`` runs a platform of its own for one test."""
    started: list[Running] = []

    def begin(*deployments: Deployment) -> Running:
        started.append(begin_in(tmp_path, container_image.tag, *deployments))
        return started[-1]

    yield begin
    for running in started:
        running.close()


@pytest.fixture(scope="module")
def shared(container_image: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One platform with both sides for the tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("containers")
    # A policy that neither gives more CPU at the start nor takes it away between requests.
    plain = [deployment(side, policy="knative") for side in (CONTAINER, FUNCTION)]
    running = begin_in(folder, container_image.tag, *plain)
    yield running
    running.close()


def begin_in(folder: Path, tag: str, *deployments: Deployment) -> Running:
    platform = LocalPlatform(
        deployments,
        events=folder / "instances.jsonl",
        resources=folder / "resources.csv",
        log=folder / "instances.log",
        runner=RunnerChoice(PODMAN, {each.name: tag for each in deployments}),
    )
    return Running(platform, folder)


def names(podman: Any) -> list[str]:
    """Names of all containers."""
    return podman("ps", "--all", "--format", "{{.Names}}").split()


def name_of(running: Running, instance: str) -> str:
    return f"twinserve-{running.platform.pid}-{instance}"


def test_equal_seeds_give_equal_pictures_from_two_containers(shared: Running) -> None:
    answers = [shared.ask(side) for side in (CONTAINER, FUNCTION)]
    assert [status for status, _, _ in answers] == [200, 200]
    assert answers[0][2]["src"] == answers[1][2]["src"]


@pytest.mark.parametrize("side", [CONTAINER, FUNCTION])
def test_limits_hold_inside(shared: Running, podman: Any, side: str) -> None:
    shared.ask(side)
    name = name_of(shared, shared.instance(side)["name"])
    seen = json.loads(podman("exec", name, "python", "-c", LIMITS))
    assert seen == {
        "cpu": 1.0,
        "memory": MEMORY_MIB << 20,
        "written": False,
        "uid": 65532,
        "capabilities": 0,
    }


def test_a_start_is_taken_apart(shared: Running) -> None:
    shared.ask(CONTAINER)
    [ready] = [e for e in shared.events(CONTAINER) if e.event is EventKind.READY][:1]
    assert ready.stages is not None
    stages = [getattr(ready.stages, f"{stage}_ms") for stage in ("spawn", "runtime", "load")]
    assert all(stage > 0 for stage in [*stages, ready.stages.inference_ms])
    assert sum(stages) < ready.start_ms


def test_figures_come_from_the_cgroup(shared: Running) -> None:
    shared.ask(CONTAINER)
    [rows] = until(lambda: rows_of(shared, shared.instance(CONTAINER)["name"]))
    assert rows["cpu_limit"].to_list() == [1.0] * len(rows)
    assert rows["memory_limit_mib"].to_list() == [float(MEMORY_MIB)] * len(rows)
    assert rows["nr_throttled"].null_count() == rows["throttled_usec"].null_count() == 0
    assert rows["memory_mib"].is_between(1, MEMORY_MIB).all()


def rows_of(running: Running, instance: str) -> Any:
    found = read_resources(running.folder / "resources.csv")
    found = found.filter(instance=instance)
    return [found] if len(found) >= 2 else []


@pytest.mark.parametrize("victim", ["worker", "first process"])
def test_a_request_is_answered_when_its_container_is_killed(shared: Running, victim: str) -> None:
    shared.ask(CONTAINER)
    instance = shared.instance(CONTAINER)
    first = psutil.Process(instance["pid"])
    [worker] = first.children()
    worker.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(shared.ask, CONTAINER) for _ in range(4)]
        until(lambda: shared.ask(CONTAINER, "/_gateway/status", None)[2]["in_flight"] == 4)
        (worker if victim == "worker" else first).kill()
        answers = [answer.result() for answer in waiting]
    assert [status for status, _, _ in answers] == [200] * 4
    assert instance["name"] not in {a[1]["X-Twinserve-Instance"] for a in answers}
    [ended] = [e for e in shared.events(CONTAINER) if e.event is EventKind.KILLED][-1:]
    assert ended.instance == instance["name"]
    assert ("its worker" if victim == "worker" else "SIGKILL") in ended.detail


def test_leaving_the_block_removes_our_containers_and_no_other(
    start: Any, podman: Any, container_image: Any
) -> None:
    foreign = f"foreign-{os.getpid()}"
    podman("create", "--name", foreign, container_image.tag)
    try:
        running = start(deployment(CONTAINER))
        running.ask(CONTAINER)
        assert name_of(running, "container-1") in names(podman)
        running.close()
        assert name_of(running, "container-1") not in names(podman)
        assert foreign in names(podman)
        assert running.events(CONTAINER)[-1].event is EventKind.STOP
    finally:
        podman("rm", "--force", foreign)


def test_what_a_crashed_run_left_is_removed_at_the_next_start_and_nothing_else(
    start: Any, podman: Any, container_image: Any
) -> None:
    kept = {
        f"foreign-{os.getpid()}": [],
        f"labelled-{os.getpid()}": ["--label", f"{LABEL}=something else"],
        f"alive-{os.getpid()}": ["--label", f"{LABEL}={Owner.this().label}"],
    }
    for name, options in kept.items():
        podman("create", "--name", name, *options, container_image.tag)
    try:
        crashed = start(deployment(CONTAINER))
        crashed.ask(CONTAINER)
        left = name_of(crashed, "container-1")
        supervisor = psutil.Process(crashed.platform.pid)
        supervisor.kill()
        with suppress(psutil.NoSuchProcess):
            supervisor.wait()
        with pytest.raises(RuntimeFailure, match="died"):
            crashed.platform.check()
        assert left in names(podman)
        following = start(deployment(FUNCTION))
        assert following.platform.notes == [
            "Removed what a crashed run had left behind: 1 container."
        ]
        assert left not in names(podman)
        assert kept.keys() <= set(names(podman))
    finally:
        podman("rm", "--force", *kept)


def test_a_service_of_our_own_that_dies_is_started_again(start: Any, podman: Any) -> None:
    if any(Path(url.removeprefix("unix://")).is_socket() for url in sockets(PODMAN)):
        pytest.skip("the engine's service here is not ours to end")
    running = start(deployment(CONTAINER), deployment(FUNCTION))
    running.ask(CONTAINER)
    service = service_of(running)
    service.kill()
    until(lambda: not service.is_running() or service.status() == psutil.STATUS_ZOMBIE)
    assert running.ask(CONTAINER)[0] == 200
    assert running.ask(FUNCTION)[0] == 200
    assert service_of(running).pid != service.pid
    running.close()
    assert not {name_of(running, f"{side}-1") for side in (CONTAINER, FUNCTION)} & {*names(podman)}


def service_of(running: Running) -> psutil.Process:
    """The engine's service that the platform started."""
    children = psutil.Process(running.platform.pid).children()
    [service] = [
        child
        for child in children
        if child.status() != psutil.STATUS_ZOMBIE and "service" in child.cmdline()
    ]
    return service


def test_an_engine_that_is_named_and_silent_is_an_error_and_replaced_by_none(
    container_image: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(RuntimeFailure, match=r"Podman does not answer at unix:///.*none\.sock"):
        begin_in(tmp_path, container_image.tag, deployment(CONTAINER))


def through_busy(
    tag: str,
    folder: Path,
    work: Callable[[aiohttp.ClientSession, Gateway], Awaitable[T]],
    *,
    time_scale: float = 1.0,
    said: list[str] | None = None,
    **fields: Any,
) -> T:
    """Run ``work`` with a session at a gateway whose instances can be told to be busy; ``said``
    gets what the runner has to say."""
    command = ["python", "-c", BUSY.read_text()]
    log, events = InstanceLog(None), EventWriter(folder / "instances.jsonl")

    async def run(engine: Engine) -> T:
        say = [].append if said is None else said.append
        runner = OciRunner(engine, {CONTAINER: tag}, log, {CONTAINER: command}, say)
        gateway = Gateway(deployment(CONTAINER, **fields), runner, events, time_scale=time_scale)
        url = await gateway.open()
        with ResourceWriter(folder / "resources.csv") as writer:
            recording = asyncio.create_task(ResourceRecorder(writer, gateway.targets).run())
            try:
                async with aiohttp.ClientSession(url) as session:
                    return await work(session, gateway)
            finally:
                recording.cancel()
                await gateway.drain(within_s=1)  # busy ones do not listen to SIGTERM
                events.close()
                log.close()

    with opened_engine(PODMAN) as engine:
        return asyncio.run(run(engine))


def test_threads_beyond_the_quota_are_seen_and_named_as_throttled(
    container_image: Any, tmp_path: Path
) -> None:
    """Half a CPU for eight busy threads; where the machine is so busy otherwise that they do not
    even get that, a tenth."""
    for cpu in (0.5, 0.1):
        folder = tmp_path / str(cpu)
        folder.mkdir()
        if found := throttled_with(cpu, container_image.tag, folder):
            break
    [instance] = found
    assert instance.instance == "container-1"
    assert instance.threads > 8 > instance.cpu_limit == cpu
    assert instance.share >= 0.05
    assert instance.throttled_s > 0
    assert instance.sentence.startswith("container-1 was throttled: its ")


def throttled_with(cpu: float, tag: str, folder: Path) -> list[Throttled]:
    """Who is named after a while of burning; nobody if the quota was never used up."""

    async def work(session: aiohttp.ClientSession, _: Gateway) -> list[Throttled]:
        for _ in range(4 if cpu > 0.1 else 12):
            async with session.get("/burn") as answer:
                assert answer.status == 200
            await asyncio.sleep(1.1)  # one more reading
            found = throttled_instances(read_resources(folder / "resources.csv"))
            if found and found[0].throttled_s:
                return found
        return []

    # Under a policy that gives no more CPU at the start.
    return through_busy(tag, folder, work, cpu=cpu, policy="always-on")


async def quota(session: aiohttp.ClientSession) -> float:
    """The CPUs that an instance may use, read inside it during a request."""
    async with session.get("/quota") as answer:
        return float(await answer.text())


async def until_it_is(wanted: float, gateway: Gateway) -> None:
    """Returns when the instance's quota, read from outside, is that."""
    [target] = gateway.targets()
    deadline = time.monotonic() + GIVE_UP_S
    while (usage := target.read()) is None or usage.quota.cpu_limit != wanted:
        assert time.monotonic() < deadline, usage
        await asyncio.sleep(0.02)


def test_cpu_is_doubled_at_the_start_and_next_to_none_between_requests(
    container_image: Any, tmp_path: Path
) -> None:
    async def work(session: aiohttp.ClientSession, gateway: Gateway) -> list[float]:
        boosted = await quota(session)
        await until_it_is(0.01, gateway)  # the boost is over, and there is no request
        at_work = await quota(session)
        burning = asyncio.create_task(session.get("/burn"))
        await until_it_is(1.0, gateway)
        (await burning).close()
        await until_it_is(0.01, gateway)
        return [boosted, at_work]

    said: list[str] = []
    # The 10 s of boost after the start pass in 2.
    found = through_busy(container_image.tag, tmp_path, work, time_scale=5, said=said)
    assert found == [2.0, 1.0]
    assert said == []


def test_where_only_the_engine_can_change_quotas_it_does_so_for_the_boost(
    container_image: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cgroup, "can_hold", False)

    async def work(session: aiohttp.ClientSession, gateway: Gateway) -> list[float]:
        boosted = await quota(session)
        await until_it_is(1.0, gateway)
        await asyncio.sleep(0.3)
        await until_it_is(1.0, gateway)  # still, though it has no request
        return [boosted, await quota(session)]

    said: list[str] = []
    found = through_busy(container_image.tag, tmp_path, work, time_scale=5, said=said)
    assert found == [2.0, 1.0]
    [sentence] = said
    assert "keep their CPU between requests; the boost at their start is enforced" in sentence


def test_where_nothing_can_change_quotas_that_is_said_and_they_stay(
    container_image: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeFailure("Podman cannot change the CPU quota of a running container (404).")

    monkeypatch.setattr(Cgroup, "can_hold", False)
    monkeypatch.setattr(Engine, "hold_to", refuse)

    async def work(session: aiohttp.ClientSession, _: Gateway) -> list[float]:
        return [await quota(session), await quota(session)]

    said: list[str] = []
    assert through_busy(container_image.tag, tmp_path, work, said=said) == [1.0, 1.0]
    assert said == [
        "Instances keep their CPU between requests and get no boost: Podman cannot change the CPU "
        "quota of a running container (404)."
    ]


def test_threads_follow_from_the_cpu_of_the_deployment_and_not_from_the_boost(
    container_image: Any, podman: Any
) -> None:
    look = "from twinserve.bundle.cpu import thread_count; print(thread_count())"
    options = ("--rm", "--cpus", "2", "--env", "TWINSERVE_CPU=1")
    assert podman("run", *options, container_image.tag, "python", "-c", look).strip() == "1"


def test_an_instance_out_of_memory_is_ended_and_said(container_image: Any, tmp_path: Path) -> None:
    async def work(session: aiohttp.ClientSession, _: Gateway) -> tuple[int, str]:
        async with session.get("/eat") as answer:
            return answer.status, await answer.text()

    status, text = through_busy(container_image.tag, tmp_path, work, memory_mib=128)
    assert status == 502
    assert "Instance lost" in text
    ends = [e for e in read_events(tmp_path / "instances.jsonl") if e.event is EventKind.KILLED]
    # The second one, to which the request was sent again, may be stopped before its end is noticed.
    assert {e.detail for e in ends} == {"it ran out of memory (its limit is 128 MiB)"}


def test_an_image_that_is_not_there_is_named_with_the_command_that_builds_it(
    container_image: Any, tmp_path: Path
) -> None:
    assert container_image  # only for the engine

    async def work(session: aiohttp.ClientSession, _: Gateway) -> tuple[int, str]:
        async with session.get("/") as answer:
            return answer.status, await answer.text()

    status, text = through_busy("localhost/nothing:none", tmp_path, work)
    assert status == 503
    assert "no image localhost/nothing:none; build it with `twinserve build container" in text


def test_a_socket_that_nobody_answers_is_an_error_that_names_it(tmp_path: Path) -> None:
    pytest.importorskip("docker")
    with pytest.raises(EngineGone, match=r"Docker does not answer at unix:///.*--runner process"):
        Engine("docker", f"unix://{tmp_path}/no.sock")
