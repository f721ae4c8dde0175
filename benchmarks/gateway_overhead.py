"""What the gateway adds to a request, against asking the same instance without it.

The instance does nothing but answer. Requests are sent at a fixed rate whether or not earlier ones
are answered (open loop), in short blocks through the gateway and past it in turn, so that a slow
moment of the machine hits both. Every request opens a connection, as the load generator's do. Then
the ceiling: as many requests a second as a few users without a pause get through::

    python benchmarks/gateway_overhead.py --rate 200 --blocks 20

Instance, gateway and load run in processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psutil
from numpy.typing import NDArray

from twinserve.deployment import Deployment, Kind
from twinserve.runtime import instances
from twinserve.runtime.capacity import usable_cpus
from twinserve.runtime.gateway import Gateway
from twinserve.runtime.instances import InstanceLog, ProcessRunner, free_port

P50_TARGET_MS, P99_TARGET_MS = 0.7, 3.0
BODY = b'{"num_images": 1, "seed": 7}'
ANSWER = b"x" * 12_000  # about one 64x64 picture
WARM_UP_S = 1.0
CEILING_S = 3.0
Times = NDArray[np.float64]  # ms


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--blocks", type=int, default=20, help="blocks a side")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a block")
    parser.add_argument("--users", type=int, default=16, help="users of the ceiling")
    parser.add_argument("--serve", choices=("instance", "gateway"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(
            serve_instance(options.port) if options.serve == "instance" else serve_gateway()
        )
        return 0
    with gateway_and_instance() as (through, past, gateway):
        return asyncio.run(measure(options, through, past, gateway))


# The load


async def measure(
    options: argparse.Namespace, through: int, past: int, gateway: psutil.Process
) -> int:
    """Both sides in turn, then the ceilings; 0 if the targets are met."""
    for port in (through, past):
        await open_loop(port, options.rate, WARM_UP_S)
    times: dict[int, list[Times]] = {through: [], past: []}
    for block in range(options.blocks):
        for port in (through, past) if block % 2 else (past, through):
            times[port].append(await open_loop(port, options.rate, options.seconds))
    with_it, without = np.concatenate(times[through]), np.concatenate(times[past])
    cores, load = len(usable_cpus()), os.getloadavg()[0]
    print(f"{with_it.size:,} requests a side at {options.rate:g}/s; load {load:.1f}, {cores} cores")
    held = True
    for p, target_ms in ((50, P50_TARGET_MS), (99, P99_TARGET_MS)):
        a, b = np.percentile(with_it, p), np.percentile(without, p)
        added = np.median(
            [
                np.percentile(x, p) - np.percentile(y, p)
                for x, y in zip(times[through], times[past], strict=True)
            ]
        )
        held = held and a - b <= target_ms
        print(
            f"p{p}: {a:.2f} ms through the gateway, {b:.2f} ms past it: {a - b:+.2f} ms "
            f"(median of block pairs {added:+.2f} ms); target {target_ms:g} ms"
        )
    before_s = sum(gateway.cpu_times()[:2])
    ceilings = {port: await ceiling(port, options.users) for port in (through, past)}
    used_s = sum(gateway.cpu_times()[:2]) - before_s
    cpu_ms = 1000 * used_s / (ceilings[through] * CEILING_S)
    print(f"ceiling through the gateway: {ceilings[through]:,.0f} requests/s, of which the gateway")
    print(f"  uses {cpu_ms:.2f} ms of CPU each; past it: {ceilings[past]:,.0f} requests/s")
    if load > cores:
        print("Other work waits for the CPUs: times are too long, the CPU a request is not.")
    print("The targets are met." if held else "A target is MISSED.")
    return 0 if held else 1


async def open_loop(port: int, rate: float, seconds: float) -> Times:
    """Times from when a request was due to its last byte, in ms."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time() + 0.01
    tasks = []
    for number in range(round(rate * seconds)):
        due_s = begun_s + number / rate
        await asyncio.sleep(due_s - loop.time())
        tasks.append(asyncio.create_task(timed(port, loop.time())))
    return np.array(await asyncio.gather(*tasks))


async def timed(port: int, sent_s: float) -> float:
    await ask(port)
    return (asyncio.get_running_loop().time() - sent_s) * 1000


async def ceiling(port: int, users: int, seconds: float = CEILING_S) -> float:
    """Answers a second to ``users`` that ask without a pause."""
    answered = 0
    end_s = time.monotonic() + seconds

    async def user() -> None:
        nonlocal answered
        while time.monotonic() < end_s:
            await ask(port)
            answered += 1

    await asyncio.gather(*(user() for _ in range(users)))
    return answered / seconds


async def ask(port: int) -> None:
    """One POST over a connection of its own; a bare client, so that little of the time is ours."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    )
    answer = await reader.read()
    while more := await reader.read():
        answer += more
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"x" * 1000):
        raise RuntimeError(f"not answered: {answer[:200]!r}")


# The two servers


@contextmanager
def gateway_and_instance() -> Iterator[tuple[int, int, psutil.Process]]:
    """The ports of the gateway and of the instance behind it, and the gateway's process."""
    command = [sys.executable, __file__, "--serve", "gateway"]
    with tempfile.TemporaryFile("w+") as errors:
        gateway = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            line = gateway.stdout.readline() if gateway.stdout else ""
            if not line:
                errors.seek(0)
                raise RuntimeError(errors.read())
            through, past = map(int, line.split())
            yield through, past, psutil.Process(gateway.pid)
        finally:
            gateway.send_signal(signal.SIGTERM)
            gateway.wait(30)
            if gateway.stdout:
                gateway.stdout.close()


async def serve_gateway() -> None:
    """A gateway with one null instance; prints both ports, runs until SIGTERM."""
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    instances.instance_command = lambda _, port: [
        *(sys.executable, __file__, "--serve", "instance", "--port", str(port))
    ]
    own_port = free_port()
    instances.free_port = lambda: own_port
    log = InstanceLog(None)
    one = {"min_instances": 1, "max_instances": 1}
    gateway = Gateway(Deployment("null", Kind.CONTAINER, "none", **one), ProcessRunner(log))
    url = await gateway.open()
    while not any(each["state"] == "ready" for each in gateway.status()["instances"]):
        await asyncio.sleep(0.05)
    print(url.rpartition(":")[2], own_port, flush=True)
    await end.wait()
    await gateway.drain()
    log.close()


async def serve_instance(port: int) -> None:
    """Answers every request at once with the same bytes."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    answer = head % len(ANSWER) + ANSWER
    server = await asyncio.get_running_loop().create_server(lambda: Null(answer), "127.0.0.1", port)
    await server.serve_forever()


class Null(asyncio.Protocol):
    """As little of an HTTP server as will do: no request here is in more than one piece but for its
    body."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, body = self._heard.partition(b"\r\n\r\n")
        if not end or (head.startswith(b"POST") and len(body) < len(BODY)):
            return
        self._heard = b""
        self._transport.write(self._answer)
        if b"connection: close" in head.lower():
            self._transport.close()


if __name__ == "__main__":
    sys.exit(main())
