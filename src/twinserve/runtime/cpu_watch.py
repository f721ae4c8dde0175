"""How many CPUs a deployment's instances keep busy, for policies that aim at a share of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from twinserve.runtime.readings import Target, Usage, cpu_percent

EVERY_S = 1.0  # CPU time comes in steps of 10 ms


class CpuWatch:
    """Reads every instance once a second and tells ``noted`` the CPUs that are busy together."""

    def __init__(self, targets: Callable[[], list[Target]], noted: Callable[[float], None]) -> None:
        self._targets = targets
        self._noted = noted
        self._before: dict[str, Usage] = {}

    async def run(self) -> None:
        """Until it is cancelled; readings block, so they are taken in a thread."""
        while True:
            await asyncio.sleep(EVERY_S)
            targets = self._targets()
            now = await asyncio.to_thread(_read_all, targets)
            self._noted(sum(self._busy(name, usage) for name, usage in now.items()))
            self._before = now

    def _busy(self, name: str, now: Usage) -> float:
        """CPUs busy since the reading before; a start is not the requests' work, so the first one
        counts nothing."""
        before = self._before.get(name)
        return cpu_percent(before, now) / 100 if before and now.at_s > before.at_s else 0.0


def _read_all(targets: list[Target]) -> dict[str, Usage]:
    readings = {target.instance: target.read() for target in targets}
    return {name: usage for name, usage in readings.items() if usage is not None}
