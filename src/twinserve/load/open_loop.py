"""Requests that are sent when they are due, whether earlier ones are answered or not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twinserve.load.dispatch import Dispatch
from twinserve.load.in_flight import InFlight
from twinserve.load.plan import Request
from twinserve.load.sender import Target
from twinserve.load.timer import Timer

LEAD_US = 5_000  # so that the first request is not late before it begins


@dataclass(frozen=True)
class Sent:
    """How an open loop went: when it began, in microseconds of the run, and how many requests were
    due and not sent any more, since too many were on their way."""

    start_us: int
    unsent: int


async def send_when_due(
    dispatch: Dispatch,
    target: Target,
    asked: Iterator[Request],
    due_s: NDArray[np.float64],
    seconds: float,
    most: int,
) -> Sent:
    """Send one request at each of ``due_s`` (from the begin), and wait for all answers.

    Ends ``seconds`` after it began at the earliest. With ``most`` requests on their way the
    deployment does not keep up with the rate, and the wait would grow for as long as requests are
    due: nothing more is sent then.
    """
    start_us = dispatch.clock.now_us() + LEAD_US
    due_us = start_us + np.rint(due_s * 1e6).astype(np.int64)
    in_flight = InFlight()
    async with asyncio.TaskGroup() as requests:
        with Timer() as timer:
            for sent, at_us in enumerate(due_us.tolist()):
                await timer.until(_moment_s(dispatch, at_us))
                if in_flight.count >= most:
                    return Sent(start_us, due_us.size - sent)
                one = _one(dispatch, target, next(asked), at_us, in_flight)
                requests.create_task(one)
            await timer.until(_moment_s(dispatch, start_us + round(seconds * 1e6)))
    return Sent(start_us, 0)


async def _one(
    dispatch: Dispatch, target: Target, request: Request, due_us: int, in_flight: InFlight
) -> None:
    number = in_flight.take()
    try:
        own = replace(target, user=number, users=in_flight.count)
        await dispatch.send(own, request, due_us)
    finally:
        in_flight.give_back(number)


def _moment_s(dispatch: Dispatch, at_us: int) -> float:
    return dispatch.clock.started_s + at_us / 1e6
