"""The processes of ``model_speed.py``: one a way of serving, each asked by lines of JSON.

Both ends are here. The processes share one core and wait while another one works, so that their
times can be taken in turns and their memory apart.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    import numpy as np

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class BenchmarkError(Exception):
    """Nothing comparable can be measured; the message says why."""


@dataclass(frozen=True)
class Served:
    """One request served. ``cpu_ms`` and ``wall_ms`` are the request's own, ``process_cpu_ms`` is
    all that the process has used since it began, ``peak_mib`` the most memory that it has held."""

    cpu_ms: float
    wall_ms: float
    process_cpu_ms: float
    peak_mib: float
    bytes: int
    digest: str


class Worker:
    """A process that serves; its start counts from here."""

    def __init__(self, script: str, arguments: Sequence[str]) -> None:
        self._begun = time.perf_counter()
        self._name = script
        path = Path(__file__).with_name(script)
        self._process = subprocess.Popen(
            [sys.executable, str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )
        self._stdin = cast("IO[str]", self._process.stdin)
        self._stdout = cast("IO[str]", self._process.stdout)

    def serve(self, count: int) -> Served:
        """Have so many images served, as one grid."""
        return Served(**self._ask({"serve": count}))

    def write_pictures(self, count: int, path: Path) -> None:
        """Have the network's own output for so many images written as a numpy file."""
        self._ask({"pictures": count, "path": str(path)})

    def age_ms(self) -> float:
        return (time.perf_counter() - self._begun) * 1000

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._stdin.write(json.dumps(request) + "\n")
            self._stdin.flush()
            line = self._stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            raise BenchmarkError(f"{self._name} ended with exit code {code}; see above.")
        answer: dict[str, Any] = json.loads(line)
        return answer


def answer_requests(serve: Callable[[int], str], pictures: Callable[[int], np.ndarray]) -> None:
    """The other end: answer each line of the standard input until it ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if "serve" in request:
            answer = _timed(serve, request["serve"])
        else:
            import numpy as np

            np.save(request["path"], pictures(request["pictures"]))
            answer = {}
        print(json.dumps(answer), flush=True)


def _timed(serve: Callable[[int], str], count: int) -> dict[str, float | int | str]:
    wall, cpu = time.perf_counter(), time.process_time()
    served = serve(count)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "cpu_ms": cpu * 1000,
        "wall_ms": wall * 1000,
        "process_cpu_ms": time.process_time() * 1000,
        "peak_mib": peak_mib(),
        "bytes": len(served),
        "digest": hashlib.sha256(served.encode()).hexdigest()[:16],
    }


def peak_mib() -> float:
    """The most memory that this process has held at once."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (1 << 20 if sys.platform == "darwin" else 1 << 10)
