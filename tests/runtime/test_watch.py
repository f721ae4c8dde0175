"""The end of a process is noticed, with a pidfd and without."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from twinserve.runtime.watch import DeathWatch


@pytest.mark.parametrize("pidfd", [True, False], ids=["pidfd", "process table"])
def test_the_process_that_ended_is_reported_and_no_other(
    pidfd: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    processes = [
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)
    ]

    async def watch() -> list[int]:
        reported: list[int] = []
        ended = asyncio.Event()
        watch = DeathWatch(lambda pid: (reported.append(pid), ended.set()))
        for process in processes:
            watch.add(process.pid)
        processes[0].kill()
        await ended.wait()
        watch.close()
        return reported

    try:
        assert asyncio.run(watch()) == [processes[0].pid]
    finally:
        for process in processes:
            process.communicate(b"\n")
