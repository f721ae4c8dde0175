"""Waiting for an instance to answer ``GET /readyz``, or to end before it does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus

import aiohttp
import msgspec

from twinserve.records.events import StartStages
from twinserve.runtime.commands import HOST

READY_WITHIN_S = 240.0  # container contract: 4 minutes
POLL_S = 0.05


class NotReady(Exception):
    """Why it is not ready, in words that follow "it could not be started: "."""


class _Ready(msgspec.Struct):
    start: StartStages | None = None


async def until_ready(
    session: aiohttp.ClientSession,
    port: int,
    ended: asyncio.Event,
    within_s: float = READY_WITHIN_S,
) -> StartStages | None:
    """Wait; returns the stages of the start as the instance tells them, None if it does not.

    Raises:
        NotReady: ``ended`` was set first, it answered 500, or the time was over.
    """
    polling = asyncio.create_task(_poll(session, port))
    death = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({polling, death}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if ended.is_set():
            raise NotReady("it ended")
        if not polling.done():
            raise NotReady(f"it was not ready after {within_s:g} s")
        return polling.result()
    finally:
        polling.cancel()
        death.cancel()


async def _poll(session: aiohttp.ClientSession, port: int) -> StartStages | None:
    while True:
        with suppress(aiohttp.ClientError, ConnectionError):
            async with session.get(f"http://{HOST}:{port}/readyz") as answer:
                if answer.status == HTTPStatus.OK:
                    return _stages(await answer.read())
                if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise NotReady("GET /readyz answered 500")
        await asyncio.sleep(POLL_S)


def _stages(body: bytes) -> StartStages | None:
    try:
        return msgspec.json.decode(body, type=_Ready).start
    except msgspec.DecodeError:
        return None
