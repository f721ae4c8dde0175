"""Requests go out, and their rows are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twinserve.load.plan import Request
from twinserve.load.sender import Clock, Sender, Target
from twinserve.records.samples import Sample


@dataclass(frozen=True)
class Dispatch:
    """What sends the requests of an experiment, its clock, and who gets the rows."""

    sender: Sender
    clock: Clock
    on_sample: Callable[[Sample], None]

    async def send(self, target: Target, request: Request, due_us: int | None = None) -> Sample:
        outcome = await self.sender.send(
            target,
            request.images,
            request.seed,
            due_us,
            format=request.format,
            body=request.body,
        )
        self.on_sample(outcome.sample)
        return outcome.sample
