"""The CPUs that instances keep busy, from readings of what they have used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from twinserve.runtime import cpu_watch
from twinserve.runtime.cpu_watch import CpuWatch
from twinserve.runtime.readings import Target, Usage


def reading(readings: Iterator[Usage | None]) -> Callable[[], Usage | None]:
    return lambda: next(readings, None)


def used(*cpu_s: float | None) -> Callable[[], Usage | None]:
    """Read a second apart; None: the instance is gone."""
    return reading(
        iter(
            [
                None if each is None else Usage(100.0 + at, {(1, 0.0): each}, 50.0)
                for at, each in enumerate(cpu_s)
            ]
        )
    )


def test_busy_cpus_add_up_and_a_start_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_watch, "EVERY_S", 0.001)
    targets = [
        Target("side", "side-1", used(5.0, 5.25, 6.25), 0.0, 1),  # its start used 5 s
        Target("side", "side-2", used(3.0, 3.5, None), 0.0, 1),
    ]
    noted: list[float] = []

    async def watch() -> None:
        watching = asyncio.create_task(CpuWatch(lambda: targets, noted.append).run())
        while len(noted) < 4:
            await asyncio.sleep(0.001)
        watching.cancel()

    asyncio.run(watch())
    assert noted[:4] == [0.0, pytest.approx(0.75), pytest.approx(1.0), 0.0]
