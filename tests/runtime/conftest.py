"""A real gateway in front of a real instance that can be told to misbehave."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from twinserve.deployment import CONTAINER, Deployment, Kind
from twinserve.records.events import EventWriter
from twinserve.runtime import instances
from twinserve.runtime.gateway import Gateway
from twinserve.runtime.instances import InstanceLog, ProcessRunner
from twinserve.runtime.patience import Patience

T = TypeVar("T")
Session = aiohttp.ClientSession
Work = Callable[[Session, Gateway], Awaitable[T]]


@pytest.fixture
def through_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Work[T]], T]:
    """Runs ``work(session, gateway)`` with the session's base at a gateway of odd instances."""
    odd = str(Path(__file__).with_name("odd_instance.py"))
    monkeypatch.setattr(
        instances, "instance_command", lambda _, port: [sys.executable, odd, str(port)]
    )

    async def run(work: Work[T], **fields: Any) -> T:
        async with opened(tmp_path, **fields) as (session, gateway):
            return await work(session, gateway)

    return lambda work, **fields: asyncio.run(run(work, **fields))


@asynccontextmanager
async def opened(
    folder: Path, patience: Patience | None = None, **fields: Any
) -> AsyncIterator[tuple[Session, Gateway]]:
    log, events = InstanceLog(None), EventWriter(folder / "instances.jsonl")
    deployment = Deployment(CONTAINER, Kind.CONTAINER, "none", **{"max_instances": 1, **fields})
    patience = patience or Patience()
    gateway = Gateway(deployment, ProcessRunner(log), events, patience=patience)
    url = await gateway.open()
    try:
        async with Session(url, timeout=aiohttp.ClientTimeout(60)) as session:
            yield session, gateway
    finally:
        await gateway.drain()
        events.close()
        log.close()
