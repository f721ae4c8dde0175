"""Three load generators as processes on one core, and what a server that counts saw of each."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop

from twinserve.load.exchange import Address
from twinserve.load.jmeter_home import JMeter
from twinserve.load.null_server import NullAnswer, null_answer

HERE = Path(__file__).parent
ANSWER_BYTES = 1000
LOAD_S = 3600  # nobody waits for the end: the process is ended


@dataclass(frozen=True)
class Measured:
    """One generator in a steady window."""

    requests_per_s: float
    cpu_us: float  # of the generator and its children, a request
    busy: float  # of its core


def ours(url: str, users: int, folder: Path, _: JMeter | None) -> Sequence[str]:
    """The generator of ``twinserve compare``: experiment, sender, rows into samples.csv."""
    program = str(HERE / "load_own.py")
    return [sys.executable, program, url, str(users), str(folder / "own.csv"), str(LOAD_S)]


def locust(url: str, users: int, _folder: Path, _: JMeter | None) -> Sequence[str]:
    """Locust's fast client; it adds figures up and writes no rows."""
    file = str(HERE / "load_locustfile.py")
    command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "-f", file]
    return [*command, "-H", url, "-u", str(users), "-r", str(users)]


def jmeter(url: str, users: int, folder: Path, found: JMeter | None) -> Sequence[str]:
    """JMeter with one thread a user; it writes rows as CSV, as it does by default."""
    assert found is not None  # noqa: S101 - the caller leaves JMeter out otherwise
    address = Address.of(url)
    plan = folder / "plan.jmx"
    text = (HERE / "load_plan.jmx").read_text()
    plan.write_text(
        text.replace("@PORT@", str(address.port)).replace("@USERS@", str(users)), encoding="utf-8"
    )
    log = folder / "jmeter.jtl"
    log.unlink(missing_ok=True)
    return [*found.command, "-n", "-t", str(plan), "-l", str(log), "-j", str(folder / "jmeter.log")]


RIVALS: dict[str, Callable[[str, int, Path, JMeter | None], Sequence[str]]] = {
    "twinserve": ours,
    "Locust": locust,
    "JMeter": jmeter,
}


def measured(command: Sequence[str], server: Server, warm_up_s: float, seconds: float) -> Measured:
    """Run a generator pinned to the first core, and look at it for ``seconds`` after
    ``warm_up_s``."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: _pin(0),
        start_new_session=True,
    )
    try:
        server.wait_for_requests(process)
        time.sleep(warm_up_s)
        begun_s, cpu_s, count = time.perf_counter(), _cpu_s(process.pid), server.count()
        time.sleep(seconds)
        took_s = time.perf_counter() - begun_s
        cpu_s, count = _cpu_s(process.pid) - cpu_s, server.count() - count
    finally:
        _end(process)
    return Measured(count / took_s, cpu_s / max(count, 1) * 1e6, cpu_s / took_s)


class Server:
    """A server that answers at once and counts, in a process on the other core."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}"

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Server]:
        with subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: _pin(-1),
        ) as process:
            assert process.stdin and process.stdout  # noqa: S101 - opened as pipes above
            yield cls(process, int(process.stdout.readline()))
            process.stdin.close()

    def count(self) -> int:
        """How many requests it has answered."""
        assert self._process.stdin and self._process.stdout  # noqa: S101
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait_for_requests(self, process: subprocess.Popen[bytes]) -> None:
        while self.count() == 0:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
            time.sleep(0.2)


class _Counting(NullAnswer):
    answered = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        _Counting.answered += not self._seen


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    answer = null_answer(ANSWER_BYTES)
    server = await loop.create_server(lambda: _Counting(answer), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        while await asyncio.to_thread(sys.stdin.readline):
            print(_Counting.answered, flush=True)


def _pin(core: int) -> None:
    me = psutil.Process()
    if hasattr(me, "cpu_affinity"):
        me.cpu_affinity([me.cpu_affinity()[core]])


def _cpu_s(pid: int) -> float:
    tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in tree)


def _end(process: subprocess.Popen[bytes]) -> None:
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()


if __name__ == "__main__":
    uvloop.run(_serve())
