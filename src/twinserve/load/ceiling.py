"""How many requests a second the load generator can send here: the same sender, against a server
that does nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from twinserve.load.sender import Sender, Target
from twinserve.records.host import Ceiling
from twinserve.records.samples import Phase, SampleWriter

SECONDS = 1.5
WARM_UP_S = 0.3
LEAST_USERS = 16  # fewer would wait for answers instead of keeping the sender busy
STARTS_WITHIN_S = 20.0


async def measure_ceiling(
    sender: Sender, users: int, answer_bytes: int, seconds: float = SECONDS
) -> Ceiling | None:
    """Send for ``seconds`` as fast as it goes; None where the server did not come up.

    Answers have ``answer_bytes`` as the deployments' have, and rows are written as in a run, so
    that a request costs the generator the same work. Nothing of it is kept.
    """
    users = max(users, LEAST_USERS)
    async with null_server(answer_bytes) as url:
        if url is None:
            return None
        with SampleWriter(Path(os.devnull)) as rows:
            begin_s = time.monotonic() + WARM_UP_S
            counts = await asyncio.gather(
                *(
                    _ask(
                        sender, Target("null", url, Phase.WARMUP, user=user), rows, begin_s, seconds
                    )
                    for user in range(users)
                )
            )
    return Ceiling(
        requests_per_s=round(sum(counts) / seconds, 1),
        users=users,
        seconds=seconds,
        answer_bytes=answer_bytes,
    )


async def _ask(
    sender: Sender, target: Target, rows: SampleWriter, begin_s: float, seconds: float
) -> int:
    """One user without pause: how many answers came within the measured seconds."""
    answered = 0
    while time.monotonic() < begin_s + seconds:
        outcome = await sender.send(target, 1, 0)
        rows.add(outcome.sample)
        inside = begin_s <= time.monotonic() < begin_s + seconds
        answered += inside and outcome.sample.success
    return answered


@asynccontextmanager
async def null_server(answer_bytes: int) -> AsyncIterator[str | None]:
    """The URL of a null server that lives as long as the context."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "twinserve.load.null_server", str(answer_bytes)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin and process.stdout  # noqa: S101 - opened as pipes above
    try:
        port = await _heard(process.stdout)
        yield f"http://127.0.0.1:{port}" if port else None
    finally:
        process.stdin.close()
        await _end(process)


async def _heard(stream: asyncio.StreamReader) -> str:
    """The port that the server prints; empty where it did not come up."""
    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            return (await stream.readline()).strip().decode()
    except TimeoutError:
        return ""


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
