"""What a new process does before it becomes another program: it ties itself to parent and CPUs."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def tied_to_parent(parent: int, cpus: tuple[int, ...] = ()) -> Callable[[], None]:
    """For ``preexec_fn``: SIGTERM when the parent's thread ends (Linux), and only these CPUs."""

    def prepare() -> None:
        if _prctl is not None:
            _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died before we asked
                os._exit(1)
        if cpus:
            os.sched_setaffinity(0, cpus)

    return prepare


# Looked up here, because between fork and exec nothing may be imported or loaded.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
