"""A server whose delays are known, and how far the load generator's rows are from them.

The server's own work (a thread for each connection, its sleep's end) comes on top of a delay. A
bare blocking socket sees that as well, so it is the reference: what our rows have beyond it is
ours.
"""

from __future__ import annotations

import json
import random
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import uvloop

from twinserve.load.exchange import Address, request_bytes
from twinserve.load.experiment import Experiment
from twinserve.load.sender import Clock, Sender
from twinserve.records.samples import Phase, Sample
from twinserve.workload import ClosedLoop, Poisson, Workload

LEAST_MS, MEDIAN_MS, SIGMA = 5.0, 20.0, 0.5
LOADS = {"closed, 4 users": ClosedLoop(users=4), "open, 100/s": Poisson(rate_rps=100.0)}
Times = list[tuple[int, float]]  # a request's seed, and what was seen of it in ms


@dataclass(frozen=True)
class Errors:
    """Percentiles of the latencies seen, each minus the same one of the delays asked for."""

    rows: int
    p50_ms: float
    p99_ms: float


def true_times(seconds: float) -> Iterator[tuple[str, Errors]]:
    """Errors beyond those of bare sockets under each kind of load; the server runs in a process of
    its own."""
    with _server() as url:
        bare = _errors(_asked_barely(Address.of(url), seconds))
    for name, arrivals in LOADS.items():
        with _server() as url:
            seen = _errors(_times(uvloop.run(_loaded(url, arrivals, seconds))))
        yield name, Errors(seen.rows, seen.p50_ms - bare.p50_ms, seen.p99_ms - bare.p99_ms)


def delay_ms(seed: int) -> float:
    """How long the server waits before it answers a request with this seed: log-normal."""
    return LEAST_MS + random.Random(seed).lognormvariate(0, SIGMA) * (MEDIAN_MS - LEAST_MS)  # noqa: S311


async def _loaded(url: str, arrivals: ClosedLoop | Poisson, seconds: float) -> list[Sample]:
    workload = Workload(
        profile="truth", arrivals=arrivals, blocks=1, block_s=seconds / 2, warmup_s=0.5, seed=1
    )
    samples: list[Sample] = []
    clock = Clock.start()
    sender = Sender(clock)
    experiment = Experiment({"a": url, "b": url}, workload, clock, sender, samples.append)
    await experiment.warm_up()
    async for _ in experiment.blocks():
        pass
    return [s for s in samples if s.phase is Phase.BLOCK]


def _times(samples: list[Sample]) -> Times:
    failed = [s.failure for s in samples if not s.success]
    if failed:
        raise RuntimeError(f"{len(failed)} requests failed, the first one: {failed[0]}")
    return [
        (s.seed, (s.first_byte_us - s.due_us) / 1000)
        for s in samples
        if s.first_byte_us is not None
    ]


def _asked_barely(address: Address, seconds: float) -> Times:
    """As many blocking sockets as the closed loop has users, in threads."""
    users = LOADS["closed, 4 users"].users
    end_s = time.perf_counter() + seconds

    def ask(user: int) -> Times:
        seen, seeds = [], random.Random(user)  # noqa: S311
        while time.perf_counter() < end_s:
            seed = seeds.getrandbits(32)
            request = request_bytes(address, json.dumps({"seed": seed}).encode(), {})
            begun_s = time.perf_counter()
            with socket.create_connection((address.host, address.port)) as connection:
                connection.sendall(request)
                connection.recv(1)
                seen.append((seed, 1000 * (time.perf_counter() - begun_s)))
        return seen

    with ThreadPoolExecutor(users) as pool:
        return [row for rows in pool.map(ask, range(users)) for row in rows]


def _errors(times: Times) -> Errors:
    told = [delay_ms(seed) for seed, _ in times]
    seen = [ms for _, ms in times]
    p50_ms, p99_ms = (float(np.quantile(seen, p) - np.quantile(told, p)) for p in (0.5, 0.99))
    return Errors(len(times), p50_ms, p99_ms)


class _Delayed(socketserver.StreamRequestHandler):
    """Answers one request a connection; a thread's sleep is truer than an event loop's timer."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        begun_s = time.perf_counter()
        length = 0
        for line in iter(self.rfile.readline, b"\r\n"):
            if not line:
                return
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        seed = json.loads(self.rfile.read(length))["seed"]
        time.sleep(max(0.0, begun_s + delay_ms(seed) / 1000 - time.perf_counter()))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 512


@contextmanager
def _server() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout  # noqa: S101 - opened as pipes above
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


if __name__ == "__main__":
    with _Server(("127.0.0.1", 0), _Delayed) as serving:
        print(serving.server_address[1], flush=True)
        serving.serve_forever()
