"""The child process of ``twinserve up`` and ``compare``: gateways and instances, and their end.

It reads one JSON line (:class:`Configuration`) on its standard input, prints ``{"urls": {...}}`` on
its standard output once every gateway listens and ``{"news": "..."}`` when there is something to
say later, and runs until SIGTERM or until its standard input ends, which it does when the parent
died. Then it drains, and leaves no process behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import msgspec

from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.records.billing import BillingRow, BillingWriter
from twinserve.records.events import EventWriter
from twinserve.records.resources import ResourceWriter
from twinserve.runtime.gateway import Gateway
from twinserve.runtime.instances import InstanceLog
from twinserve.runtime.losses import Losses
from twinserve.runtime.patience import Patience
from twinserve.runtime.readings import ResourceRecorder, Target
from twinserve.runtime.runner import RunnerChoice
from twinserve.runtime.runners import opened_runner

STDIN = 0
BILL_EVERY_S = 1.0


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to run: deployments; ``ports`` by name (0 or absent: any); where to write, if at all;
    by which runner; how long gateways wait for instances and clients."""

    deployments: list[Deployment]
    ports: dict[str, int] = {}
    events: str | None = None
    resources: str | None = None
    billing: str | None = None
    log: str | None = None
    runner: RunnerChoice = RunnerChoice()
    patience: Patience = Patience()

    def __post_init__(self) -> None:
        names = [deployment.name for deployment in self.deployments]
        if len(set(names)) < len(names) or not names:
            raise UsageError(f"deployments are named {names}; each needs a name of its own.")


class Listening(msgspec.Struct, frozen=True):
    """The line that says that every gateway listens; ``notes`` are for the user."""

    urls: dict[str, str]
    notes: list[str] = []


class Closable(Protocol):
    def close(self) -> None: ...


class News(msgspec.Struct, frozen=True):
    """A line that comes later: one sentence for the user."""

    news: str


def read_configuration() -> Configuration:
    """The first line of standard input.

    Raises:
        UsageError: it is not a configuration.
    """
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(STDIN, 1)):
        line += byte
    try:
        return msgspec.json.decode(line, type=Configuration)
    except msgspec.DecodeError as error:
        raise UsageError(f"the configuration cannot be read: {error}.") from error


async def supervise(configuration: Configuration, say: Callable[[bytes], None]) -> None:
    """Run every deployment until told to end; ``say`` gets the line with the URLs, then news.

    Raises:
        UsageError: a port is taken.
    """
    end = _told_to_end()

    def tell(sentence: str) -> None:
        _tell(say, News(sentence))

    losses = Losses(tell)
    async with AsyncExitStack() as stack:
        log = InstanceLog(_path(configuration.log))
        stack.callback(log.close)
        events = EventWriter(Path(configuration.events)) if configuration.events else None
        if events:
            stack.callback(_closed, events, losses, "instances.jsonl")
        opened_by = stack.enter_context(opened_runner(configuration.runner, log, tell))
        gateways = [
            Gateway(each, opened_by.runner, events, patience=configuration.patience, losses=losses)
            for each in configuration.deployments
        ]
        bill = _Bill(stack, configuration.billing, gateways, losses)
        stack.callback(bill.write)  # once more when everything has ended
        opened = await stack.enter_async_context(_drained_together())
        urls = await _open_all(gateways, opened, configuration.ports)
        _until_the_end(stack, bill.run())
        if configuration.resources:
            _record_resources(stack, Path(configuration.resources), gateways, losses)
        _tell(say, Listening(urls, opened_by.notes))
        await end.wait()


def _tell(say: Callable[[bytes], None], line: Listening | News) -> None:
    with suppress(OSError):  # nobody listens any more: the parent has died
        say(msgspec.json.encode(line) + b"\n")


def _closed(writer: Closable, losses: Losses, file: str) -> None:
    """Close it; what a full disk does not take at the end is lost, too."""
    with losses.counted(file):
        writer.close()


def _told_to_end() -> asyncio.Event:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)

    def heard() -> None:
        if not os.read(STDIN, 4096):
            loop.remove_reader(STDIN)
            end.set()

    loop.add_reader(STDIN, heard)
    return end


@asynccontextmanager
async def _drained_together() -> AsyncIterator[list[Gateway]]:
    """Whatever is in the list at the end is drained, all at the same time."""
    opened: list[Gateway] = []
    try:
        yield opened
    finally:
        await asyncio.gather(*(gateway.drain() for gateway in opened))


async def _open_all(
    gateways: list[Gateway], opened: list[Gateway], ports: dict[str, int]
) -> dict[str, str]:
    urls = {}
    for gateway in gateways:
        name = gateway.deployment.name
        urls[name] = await gateway.open(ports.get(name, 0))
        opened.append(gateway)
    return urls


def _record_resources(
    stack: AsyncExitStack, path: Path, gateways: list[Gateway], losses: Losses
) -> None:
    def targets() -> list[Target]:
        return [target for gateway in gateways for target in gateway.targets()]

    writer = ResourceWriter(path)
    stack.callback(_closed, writer, losses, "resources.csv")
    _until_the_end(stack, ResourceRecorder(writer, targets, losses).run())


class _Bill:
    """Writes down once a second what the platforms would bill of each gateway."""

    def __init__(
        self, stack: AsyncExitStack, path: str | None, gateways: list[Gateway], losses: Losses
    ) -> None:
        self._writer = BillingWriter(Path(path)) if path else None
        self._gateways = gateways
        self._losses = losses
        if self._writer:
            stack.callback(_closed, self._writer, losses, "billing.csv")

    async def run(self) -> None:
        while self._writer:
            await asyncio.sleep(BILL_EVERY_S)
            self.write()

    def write(self) -> None:
        if self._writer is None:
            return
        at_ms = round(time.time() * 1000, 3)
        for gateway in self._gateways:
            for billed in gateway.billed():
                row = BillingRow(at_ms, gateway.deployment.name, **asdict(billed))
                with self._losses.counted("billing.csv"):
                    self._writer.add(row)


def _until_the_end(stack: AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    stack.push_async_callback(_cancelled, asyncio.create_task(work))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
