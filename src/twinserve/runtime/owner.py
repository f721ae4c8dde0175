"""Whose an instance is: the supervisor that started it, so that a later one finds what is left."""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

VARIABLE = "TWINSERVE_RUN"
LABEL = "twinserve.run"
MACHINE_ID = Path("/etc/machine-id")
PROCESS_TABLE = Path("/proc/self/ns/pid")
SAME_S = 1.5  # times of creation are told to a clock tick, read on different days


@dataclass(frozen=True)
class Owner:
    """A process, by machine, number and time of creation: a number used again is another one."""

    machine: str
    pid: int
    created_s: float

    @classmethod
    def this(cls) -> Owner:
        """The process that asks."""
        return cls(_machine(), os.getpid(), psutil.Process().create_time())

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """An owner from its label; None for a label that is not one of ours."""
        try:
            machine, pid, created_s = text.split("/")
            return cls(machine, int(pid), float(created_s))
        except ValueError:
            return None

    @property
    def label(self) -> str:
        return f"{self.machine}/{self.pid}/{self.created_s:.2f}"

    @property
    def is_gone(self) -> bool:
        """Whether it ran here and has ended; one of another machine is never called gone."""
        if self.machine != _machine():
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            return abs(process.create_time() - self.created_s) > SAME_S
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


@cache
def _machine() -> str:
    """This machine and this process table: two containers of one machine cannot see each other."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(MACHINE_ID.read_text().strip())
    with suppress(OSError):
        parts.append(str(PROCESS_TABLE.readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
