"""What a control group allows and has used: CPU quota, throttling, memory; versions 1 and 2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")
PERIOD_US = 100_000  # the kernel's default, and the engines'
UNIFIED = "unified"  # where version 2 lies on a machine that mounts both


@dataclass(frozen=True)
class CgroupReading:
    """Limits in force and counters since the group was made; None where the group has none.

    ``throttled_usec`` is the time in which the quota kept the group's threads from running.
    """

    cpu_s: float
    memory_bytes: int
    threads: int | None = None
    cpu_limit: float | None = None
    memory_limit_bytes: int | None = None
    nr_periods: int | None = None
    nr_throttled: int | None = None
    throttled_usec: int | None = None
    oom_kills: int | None = None


@dataclass(frozen=True)
class Cgroup:
    """One process's group: a folder a controller, all the same one in version 2."""

    folders: dict[str, Path]
    unified: Path | None

    @classmethod
    def of(cls, pid: int, root: Path = ROOT, proc: Path = PROC) -> Cgroup | None:
        """The group of a process; None when it is gone or the system has no groups."""
        try:
            lines = (proc / str(pid) / "cgroup").read_text().splitlines()
        except OSError:
            return None
        folders: dict[str, Path] = {}
        unified = None
        for line in lines:
            _, controllers, path = line.split(":", 2)
            for controller in filter(None, controllers.split(",")):
                folders[controller] = root / controller / path.lstrip("/")
            if not controllers:
                base = root if (root / "cgroup.controllers").exists() else root / UNIFIED
                unified = base / path.lstrip("/")
        return cls(folders, unified)

    def names(self, container: str) -> bool:
        """Whether this is the group of that container: engines put its id into the path."""
        paths = [*self.folders.values(), *([self.unified] if self.unified else [])]
        return any(container in str(path) for path in paths)

    def read(self) -> CgroupReading | None:
        """Limits and counters now; None when the group is gone."""
        try:
            return self._version_1() if "cpu" in self.folders else self._version_2()
        except (OSError, KeyError, ValueError):
            return None

    @property
    def is_ours(self) -> bool:
        """Whether groups beside this one may be made and changed by us."""
        folder = self.folders.get("cpu", self.unified)
        return folder is not None and os.access(folder, os.W_OK)

    @property
    def can_hold(self) -> bool:
        """Whether we may change its CPU quota."""
        return os.access(self._quota_file, os.W_OK)

    def hold_to(self, cpus: float) -> None:
        """Change its CPU quota; takes effect at once, and threads that stood still go on.

        Raises:
            OSError: the group is gone, or it is not ours to change.
        """
        quota_us = round(cpus * PERIOD_US)
        is_v1 = "cpu" in self.folders
        self._quota_file.write_text(str(quota_us) if is_v1 else f"{quota_us} {PERIOD_US}")

    @property
    def _quota_file(self) -> Path:
        if "cpu" in self.folders:
            return self.folders["cpu"] / "cpu.cfs_quota_us"
        return (self.unified or ROOT / UNIFIED) / "cpu.max"

    def _version_1(self) -> CgroupReading:
        cpu, memory = self.folders["cpu"], self.folders["memory"]
        stat = _numbers(cpu / "cpu.stat")
        quota = _number(cpu / "cpu.cfs_quota_us")
        period = _number(cpu / "cpu.cfs_period_us")
        used_ns = int((self.folders["cpuacct"] / "cpuacct.usage").read_text())
        return CgroupReading(
            cpu_s=used_ns / 1e9,
            memory_bytes=_in_use(memory, "memory.usage_in_bytes", "total_inactive_file"),
            threads=_number(self.folders.get("pids", cpu) / "pids.current"),
            cpu_limit=quota / period if quota and period and quota > 0 else None,
            memory_limit_bytes=_limit(memory / "memory.limit_in_bytes"),
            nr_periods=stat.get("nr_periods"),
            nr_throttled=stat.get("nr_throttled"),
            throttled_usec=stat["throttled_time"] // 1000 if "throttled_time" in stat else None,
            oom_kills=_numbers(memory / "memory.oom_control").get("oom_kill"),
        )

    def _version_2(self) -> CgroupReading:
        if self.unified is None:
            raise KeyError(UNIFIED)
        stat = _numbers(self.unified / "cpu.stat")
        quota, period = (*(self.unified / "cpu.max").read_text().split(), "100000")[:2]
        return CgroupReading(
            cpu_s=stat["usage_usec"] / 1e6,
            memory_bytes=_in_use(self.unified, "memory.current", "inactive_file"),
            threads=_number(self.unified / "pids.current"),
            cpu_limit=None if quota == "max" else int(quota) / int(period),
            memory_limit_bytes=_limit(self.unified / "memory.max"),
            nr_periods=stat.get("nr_periods"),
            nr_throttled=stat.get("nr_throttled"),
            throttled_usec=stat.get("throttled_usec"),
            oom_kills=_numbers(self.unified / "memory.events").get("oom_kill"),
        )


# Version 1 says "no limit" with the largest number of whole pages.
NO_LIMIT = 1 << 62


def _in_use(folder: Path, usage: str, reclaimable: str) -> int:
    """Memory as engines count it: without the file cache that the kernel would give up first."""
    used = int((folder / usage).read_text())
    return max(0, used - _numbers(folder / "memory.stat").get(reclaimable, 0))


def _limit(path: Path) -> int | None:
    found = _number(path)
    return found if found is not None and found < NO_LIMIT else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _numbers(path: Path) -> dict[str, int]:
    try:
        return dict(_pairs(path.read_text()))
    except OSError:
        return {}


def _pairs(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("-").isdigit():
            yield words[0], int(words[1])
