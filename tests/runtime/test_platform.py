"""The whole local platform, with real gunicorn and real functions-framework instances."""

from __future__ import annotations

import csv
import json
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psutil
import pytest

from twinserve.deployment import CONTAINER, FUNCTION, Deployment, Kind
from twinserve.errors import RuntimeFailure
from twinserve.records.events import EventKind, InstanceEvent, read_events
from twinserve.runtime.capacity import Capacity
from twinserve.runtime.platform import LocalPlatform

T = TypeVar("T")
LONG = b'{"num_images": 64}'  # so long that answers do not overtake each other on their way to us
GIVE_UP_S = 120.0  # no assertion: only so that a broken platform does not hang the tests


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def timing(self) -> dict[str, float]:
        """Entries of all Server-Timing lines, those of one name added up."""
        found: dict[str, float] = {}
        for entry in ", ".join(self.headers.get_all("Server-Timing", [])).split(", "):
            name, _, value = entry.partition(";dur=")
            found[name] = found.get(name, 0.0) + float(value or 0)
        return found

    @property
    def instance(self) -> str:
        return self.headers["X-Twinserve-Instance"]

    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, path: str = "/generate", body: bytes | None = b"{}") -> Answer:
    """POST ``body`` as JSON, or GET when it is None."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=GIVE_UP_S)
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def until(look: Callable[[], T]) -> T:
    """What ``look`` returns, once that is true."""
    deadline = time.monotonic() + GIVE_UP_S
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(look)
        time.sleep(0.02)
    return found


@dataclass
class Running:
    """A started platform, its records, and threads to ask it from."""

    platform: LocalPlatform
    folder: Path
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32))

    def status(self, side: str) -> Any:
        return ask(self.platform.urls[side], "/_gateway/status", None).json()

    def ask(self, side: str, body: bytes = b"{}") -> Answer:
        return ask(self.platform.urls[side], body=body)

    def ask_later(self, side: str, body: bytes = b"{}") -> Future[Answer]:
        return self.pool.submit(self.ask, side, body)

    def events(self, side: str) -> list[InstanceEvent]:
        return [e for e in read_events(self.folder / "instances.jsonl") if e.side == side]

    def kinds(self, side: str, instance: str) -> list[EventKind]:
        return [event.event for event in self.events(side) if event.instance == instance]

    def group(self, side: str) -> tuple[psutil.Process, psutil.Process]:
        """Leader and worker of the side's only instance, which is ready."""
        [instance] = until(lambda: self.status(side)["instances"])
        leader = psutil.Process(instance["pid"])
        [worker] = leader.children()
        return leader, worker

    def freeze(self, side: str) -> psutil.Process:
        """Wake the side and stop its worker, so that requests stay in flight."""
        self.ask(side)
        _, worker = self.group(side)
        worker.send_signal(signal.SIGSTOP)
        return worker

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        supervisor = psutil.Process(self.platform.pid)
        return [supervisor, *supervisor.children(recursive=True)]


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def deployment(side: str, **fields: Any) -> Deployment:
    concurrency = 80 if side == CONTAINER else 1
    values = {"concurrency": concurrency, "max_instances": 1, **fields}
    return Deployment(side, Kind(side), values.pop("model", "random-16"), **values)


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """``start(*deployments)`` runs a platform of its own for one test."""
    started: list[Running] = []

    def begin(*deployments: Deployment, **options: Any) -> Running:
        running = _start(tmp_path, deployments, **options)
        started.append(running)
        return running

    yield begin
    for running in started:
        _stop(running)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One platform with both sides for all tests of a module that leave it as they found it."""
    sides = [deployment(side) for side in (CONTAINER, FUNCTION)]
    running = _start(tmp_path_factory.mktemp("platform"), sides)
    yield running
    _stop(running)


def _start(folder: Path, deployments: Any, **options: Any) -> Running:
    platform = LocalPlatform(
        deployments,
        events=folder / "instances.jsonl",
        resources=folder / "resources.csv",
        log=folder / "instances.log",
        **options,
    )
    return Running(platform.__enter__(), folder)


def _stop(running: Running) -> None:
    running.platform.__exit__(None, None, None)
    running.pool.shutdown()


def test_a_side_scales_from_zero_and_back(start: Any) -> None:
    running = start(deployment(CONTAINER, idle_s=1.0), deployment(FUNCTION, idle_s=1.0))
    for side in (CONTAINER, FUNCTION):
        assert running.status(side)["instances"] == []
        cold, warm = running.ask(side), running.ask(side)
        assert (cold.status, warm.status) == (200, 200)
        assert cold.timing["cold"] > 0
        assert "cold" not in warm.timing
        assert {"queue", "process", "inference"} <= warm.timing.keys()
        assert cold.instance == warm.instance == f"{side}-1"
    for side in (CONTAINER, FUNCTION):
        until(lambda side=side: not running.status(side)["instances"])
        assert running.kinds(side, f"{side}-1") == ["start", "ready", "idle", "stop"]
        assert running.ask(side).instance == f"{side}-2"


def test_equal_seeds_give_equal_pictures_through_both_gateways(shared: Running) -> None:
    pictures = [shared.ask(side, b'{"seed": 7}').json()["src"] for side in (CONTAINER, FUNCTION)]
    assert pictures[0] == pictures[1]


def test_a_function_gets_one_request_at_a_time_in_the_order_of_arrival(shared: Running) -> None:
    worker = shared.freeze(FUNCTION)
    [instance] = shared.status(FUNCTION)["instances"]
    finished: list[int] = []
    waiting = []
    for number in range(4):
        answer = shared.ask_later(FUNCTION, LONG)
        answer.add_done_callback(lambda _, number=number: finished.append(number))
        waiting.append(answer)
        until(lambda number=number: shared.status(FUNCTION)["queued"] == number)
        until(lambda: len(connections_to(shared, instance["port"])) == 1)
    assert shared.status(FUNCTION)["in_flight"] == 1
    worker.send_signal(signal.SIGCONT)
    assert [answer.result().status for answer in waiting] == [200] * 4
    assert finished == [0, 1, 2, 3]
    assert [answer.result().timing["queue"] > 0 for answer in waiting] == [True] * 4


def test_a_container_gets_many_requests_at_a_time(shared: Running) -> None:
    worker = shared.freeze(CONTAINER)
    [instance] = shared.status(CONTAINER)["instances"]
    waiting = [shared.ask_later(CONTAINER) for _ in range(12)]
    until(lambda: len(connections_to(shared, instance["port"])) == 12)
    assert shared.status(CONTAINER)["queued"] == 0
    worker.send_signal(signal.SIGCONT)
    assert [answer.result().status for answer in waiting] == [200] * 12


def test_a_client_that_goes_away_frees_its_place_in_the_queue(shared: Running) -> None:
    worker = shared.freeze(FUNCTION)
    first = shared.ask_later(FUNCTION)
    until(lambda: shared.status(FUNCTION)["in_flight"] == 1)
    address = urlsplit(shared.platform.urls[FUNCTION])
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        until(lambda: shared.status(FUNCTION)["queued"] == 1)
    until(lambda: shared.status(FUNCTION)["queued"] == 0)
    worker.send_signal(signal.SIGCONT)
    assert first.result().status == 200


def test_a_client_that_goes_away_in_flight_keeps_the_place_until_the_answer(
    shared: Running,
) -> None:
    worker = shared.freeze(FUNCTION)
    address = urlsplit(shared.platform.urls[FUNCTION])
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        until(lambda: shared.status(FUNCTION)["in_flight"] == 1)
    second = shared.ask_later(FUNCTION)
    until(lambda: shared.status(FUNCTION)["queued"] == 1)
    assert shared.status(FUNCTION)["in_flight"] == 1
    worker.send_signal(signal.SIGCONT)
    assert second.result().status == 200
    until(lambda: shared.status(FUNCTION)["in_flight"] == 0)


def test_a_request_that_waits_too_long_is_told_when_to_come_again(shared: Running) -> None:
    worker = shared.freeze(FUNCTION)
    first = shared.ask_later(FUNCTION)
    until(lambda: shared.status(FUNCTION)["in_flight"] == 1)
    late = shared.ask(FUNCTION)
    worker.send_signal(signal.SIGCONT)
    assert late.status == 429
    assert late.headers["Content-Type"] == "application/problem+json"
    assert int(late.headers["Retry-After"]) >= 10
    assert "function" in late.json()["detail"]
    assert first.result().status == 200


@pytest.mark.parametrize("side", [CONTAINER, FUNCTION])
@pytest.mark.parametrize("victim", ["worker", "leader"])
def test_every_request_is_answered_when_an_instance_is_killed(
    shared: Running, side: str, victim: str
) -> None:
    before = shared.ask(side).instance
    shared.freeze(side)
    leader, worker = shared.group(side)
    waiting = [shared.ask_later(side) for _ in range(5)]
    until(lambda: shared.status(side)["in_flight"] + shared.status(side)["queued"] == 5)
    (worker if victim == "worker" else leader).kill()
    answers = [answer.result() for answer in waiting]
    assert [answer.status for answer in answers] == [200] * 5
    assert before not in {answer.instance for answer in answers}
    assert all(answer.timing["cold"] > 0 for answer in answers)
    assert shared.kinds(side, before)[-1] == EventKind.KILLED
    until(lambda: gone(leader) and gone(worker))


def test_resources_of_every_instance_are_read_each_second(shared: Running) -> None:
    for side in (CONTAINER, FUNCTION):
        shared.ask(side)
    rows = until(lambda: resource_rows(shared, least=2))
    assert {row["side"] for row in rows} == {CONTAINER, FUNCTION}
    cores = psutil.cpu_count() or 1
    assert all(0 <= float(row["cpu_percent"]) <= 100 * cores + 20 for row in rows)
    assert max(float(row["cpu_percent"]) for row in rows) > 0
    assert all(5 < float(row["memory_mib"]) < 4096 for row in rows)


def test_sigterm_lets_requests_finish_and_leaves_no_process(start: Any) -> None:
    running = start(deployment(CONTAINER), deployment(FUNCTION))
    workers = [running.freeze(side) for side in (CONTAINER, FUNCTION)]
    processes = running.processes()
    waiting = [running.ask_later(side) for side in (CONTAINER, FUNCTION)]
    for side in (CONTAINER, FUNCTION):
        until(lambda side=side: running.status(side)["in_flight"] == 1)
    queued = running.ask_later(FUNCTION)
    until(lambda: running.status(FUNCTION)["queued"] == 1)
    psutil.Process(running.platform.pid).terminate()
    assert queued.result().status == 503
    assert running.ask(CONTAINER).status == 503
    for worker in workers:
        worker.send_signal(signal.SIGCONT)
    assert [answer.result().status for answer in waiting] == [200, 200]
    until(lambda: all(gone(process) for process in processes))
    assert running.kinds(FUNCTION, "function-1")[-1] == EventKind.STOP
    with pytest.raises(RuntimeFailure, match="died"):
        running.platform.check()


def test_a_killed_supervisor_leaves_no_instance(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # it cannot clear away its empty folders either
    running = start(deployment(CONTAINER), deployment(FUNCTION))
    for side in (CONTAINER, FUNCTION):
        running.ask(side)
    processes = running.processes()
    assert len(processes) == 5
    psutil.Process(running.platform.pid).kill()
    until(lambda: all(gone(process) for process in processes))
    with pytest.raises(RuntimeFailure, match="died"):
        running.platform.check()


def test_leaving_the_block_stops_everything(start: Any) -> None:
    running = start(deployment(CONTAINER, min_instances=1))
    until(lambda: running.kinds(CONTAINER, "container-1") == ["start", "ready"])
    processes = running.processes()
    running.platform.check()
    running.platform.__exit__(None, None, None)
    assert all(gone(process) for process in processes)


def test_a_failed_start_is_answered_with_its_reason_and_not_tried_in_a_loop(start: Any) -> None:
    running = start(
        deployment(CONTAINER, model="no-such-model"), deployment(FUNCTION, model="no-such-model")
    )
    for side in (CONTAINER, FUNCTION):
        answers = [running.ask_later(side), running.ask_later(side)]
        for answer in [answer.result() for answer in answers] + [running.ask(side)]:
            assert answer.status == 503
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert int(answer.headers["Retry-After"]) >= 1
            assert "no-such-model" in answer.json()["detail"]
        assert running.kinds(side, f"{side}-1") == ["start", "failed"]
        assert not running.kinds(side, f"{side}-2")
    running.platform.check()


def test_a_port_in_use_is_one_clear_line(start: Any, shared: Running) -> None:
    port = urlsplit(shared.platform.urls[CONTAINER]).port
    with pytest.raises(RuntimeFailure, match=f"cannot listen on 127.0.0.1:{port}") as failure:
        start(deployment(CONTAINER), ports={CONTAINER: port})
    assert "Traceback" not in str(failure.value)


def test_instances_are_capped_at_what_the_machine_carries() -> None:
    platform = LocalPlatform(
        [deployment(CONTAINER, max_instances=100)], capacity=Capacity(4, 65536)
    )
    assert platform.deployments[CONTAINER].max_instances == 3
    assert "at most 3 instances" in platform.cap[CONTAINER]
    assert "pinned" in platform.limits[CONTAINER] or "affinity" in platform.limits[CONTAINER]


def connections_to(running: Running, port: int) -> list[Any]:
    """Open connections of the gateways to an instance: what it has really been given."""
    open_ones = psutil.Process(running.platform.pid).net_connections("tcp")
    return [c for c in open_ones if c.status == "ESTABLISHED" and c.raddr and c.raddr.port == port]


def resource_rows(running: Running, least: int) -> list[dict[str, str]]:
    """The rows so far, once each side has ``least``."""
    with (running.folder / "resources.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    counts = [sum(row["side"] == side for row in rows) for side in (CONTAINER, FUNCTION)]
    return rows if min(counts) >= least else []
