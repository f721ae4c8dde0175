"""What faults are made of: a memory limit and what fills it, a disk that fills up, an engine's
service that can be ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from chaos_place import Place, Skipped

from twinserve.records.billing import read_billing
from twinserve.records.events import read_events
from twinserve.records.resources import read_resources
from twinserve.runtime.cgroup import ROOT, Cgroup
from twinserve.runtime.oci_engine import PODMAN_NAMED

DISK_KIB = 256
FILLER = "filler"
# Joins a control group, then takes memory until the watched process has ended.
EATER = """
import pathlib, sys, time
group, watched = map(pathlib.Path, sys.argv[1:])
(group / "cgroup.procs").write_text("0")
def lives():
    try:
        return watched.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
kept = []
while lives():
    kept.append(bytearray(b"x" * (4 << 20)))
    time.sleep(0.001)
"""


# Memory


@contextmanager
def limited_memory(place: Place, instance: Sequence[psutil.Process]) -> Iterator[Path]:
    """The control group that limits the instance's memory: the container's own, and for plain
    processes, which have none, one made for the occasion.

    The kernel is told to end the last of these processes first: the instance, not the eater.

    Raises:
        Skipped: none may be made here.
    """
    Path(f"/proc/{instance[-1].pid}/oom_score_adj").write_text("1000")
    if place.choice.in_containers:
        own = Cgroup.of(instance[0].pid)
        folder = own and (own.folders.get("memory") or own.unified)
        if not folder:
            raise Skipped("the container's control group cannot be seen from here")
        yield folder
        return
    with _made_group(place.memory_mib << 20) as folder:
        for process in instance:
            (folder / "cgroup.procs").write_text(str(process.pid))
        yield folder


@contextmanager
def _made_group(limit_bytes: int) -> Iterator[Path]:
    first = (ROOT / "memory").is_dir()  # version 1
    folder = (ROOT / "memory" if first else ROOT) / f"twinserve-chaos-{os.getpid()}"
    try:
        folder.mkdir()
        limit = "memory.limit_in_bytes" if first else "memory.max"
        (folder / limit).write_text(str(limit_bytes))
    except OSError as error:
        with suppress(OSError):
            folder.rmdir()
        raise Skipped(
            f"only a control group limits a process's memory, and none can be made ({error})"
        ) from None
    try:
        yield folder
    finally:
        _removed(folder)


def _removed(folder: Path) -> None:
    """A group can go when its processes have been reaped."""
    for _ in range(100):
        with suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.05)


@contextmanager
def eating(group: Path, watched: int) -> Iterator[None]:
    """A process takes the group's memory until the watched one has ended."""
    words = [sys.executable, "-c", EATER, str(group), f"/proc/{watched}/stat"]
    eater = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        eater.kill()
        eater.wait()


def out_of_memory_kills() -> int:
    """How many processes the kernel has ended for memory since the machine started."""
    lines = Path("/proc/vmstat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


# Disk


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own for a run directory.

    Raises:
        Skipped: it may not be mounted here.
    """
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Skipped("a disk that can be filled must be mounted, and there is no mount") from None
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise Skipped(f"a disk that can be filled must be mounted, and that is refused ({said})")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607 - as the system has it


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Not a byte is left in the folder's file system."""
    filler = folder / FILLER
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)
    try:
        yield
    finally:
        filler.unlink()


def rows_of(path: Path) -> int:
    """The readable rows of a record.

    Raises:
        RecordError, msgspec.DecodeError, polars errors: what is in it is not readable.
    """
    if path.suffix == ".jsonl":
        return len(read_events(path))
    return len((read_billing if path.stem == "billing" else read_resources)(path))


# Engine


class EngineService:
    """An engine's service of our own, with its socket in ``folder``; it ends and begins again."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self.path = folder / "engine.sock"
        self.url = f"unix://{self.path}"
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        self._process = subprocess.Popen(
            [self._name, "system", "service", "--time=0", self.url],
            cwd=self._folder,
            env={key: value for key, value in os.environ.items() if key != PODMAN_NAMED},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not self.path.is_socket() and self._process.poll() is None:
            time.sleep(0.05)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.path.unlink(missing_ok=True)
            self._process = None


@contextmanager
def engine_service(place: Place) -> Iterator[None]:
    """The place's platform finds this service and starts none itself.

    Raises:
        Skipped: there is no engine.
    """
    if not place.choice.in_containers:
        raise Skipped("plain processes have no engine and no socket")
    service = EngineService(place.choice.name, place.folder)
    before = os.environ.get(PODMAN_NAMED)
    os.environ[PODMAN_NAMED] = service.url
    service.begin()
    place.engine = service
    try:
        yield
    finally:
        service.end()
        del os.environ[PODMAN_NAMED]
        if before is not None:
            os.environ[PODMAN_NAMED] = before
