"""Processes that a crashed run left behind: found by their environment, ended, counted.

A supervisor that is killed takes its instances along where the system allows it (Linux). Elsewhere,
or when a process hangs, they stay; each one carries the name of its owner (:mod:`.owner`), so that
nothing but what belonged to a dead supervisor of ours is touched. Containers: :mod:`.oci_engine`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import psutil

from twinserve.runtime.owner import VARIABLE, Owner

ENDS_WITHIN_S = 5.0


def remove_processes() -> int:
    """End every process whose owner has died; returns how many there were."""
    found = list(_left_behind())
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(found, timeout=ENDS_WITHIN_S)
    return len(found)


def _left_behind() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with suppress(psutil.Error, OSError):
            owner = Owner.parse(process.environ().get(VARIABLE, ""))
            if owner is not None and owner.is_gone:
                yield process


def format_leftovers(processes: int, containers: int) -> list[str]:
    """A sentence on what was removed, if anything was."""
    counts = [(processes, "process", "processes"), (containers, "container", "containers")]
    named = [f"{n} {one if n == 1 else many}" for n, one, many in counts if n]
    if not named:
        return []
    return [f"Removed what a crashed run had left behind: {' and '.join(named)}."]
