"""Noticing at once that a process ended, also one that is not our child."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

import psutil

POLL_S = 0.2


class DeathWatch:
    """Calls ``on_end(pid)`` once for each watched process that ends.

    Linux tells it through a pidfd; elsewhere the process table is looked at five times a second.
    """

    def __init__(self, on_end: Callable[[int], None]) -> None:
        self._on_end = on_end
        self._descriptors: dict[int, int] = {}
        self._polls: dict[int, asyncio.Task[None]] = {}

    def add(self, pid: int) -> None:
        """Watch a process; one that is gone already is reported before this returns."""
        if not hasattr(os, "pidfd_open"):
            self._polls[pid] = asyncio.get_running_loop().create_task(self._poll(pid))
            return
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._on_end(pid)
            return
        self._descriptors[pid] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._ended, pid)

    def close(self) -> None:
        """Watch no more."""
        for pid in list(self._descriptors):
            self._forget(pid)
        for poll in self._polls.values():
            poll.cancel()
        self._polls.clear()

    def _ended(self, pid: int) -> None:
        self._forget(pid)
        self._on_end(pid)

    def _forget(self, pid: int) -> None:
        descriptor = self._descriptors.pop(pid)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)

    async def _poll(self, pid: int) -> None:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(POLL_S)
        self._on_end(pid)
