"""The local platform during a load: does it run, what does it say, is an instance still boosted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import click

from twinserve.cli.progress import Meter
from twinserve.runtime.platform import LocalPlatform

LOOK_S = 0.5


@dataclass(frozen=True)
class Watch:
    """``platform`` is None where the sides run elsewhere: then there is nothing to see."""

    platform: LocalPlatform | None = None

    @property
    def pid(self) -> int | None:
        return self.platform.pid if self.platform else None

    def check(self) -> None:
        """Say what is new.

        Raises:
            RuntimeFailure: the platform has died.
        """
        if self.platform:
            self.platform.check()
            for line in self.platform.news():
                click.echo(line, err=True)

    async def until_settled(self, meter: Meter, done: int) -> None:
        """What is measured must not be faster because its instance has just started."""
        while self.platform and self.platform.is_boosted():
            meter.update(done, "waiting for the end of the start-up boost")
            await asyncio.sleep(LOOK_S)


NOTHING_HERE = Watch()
