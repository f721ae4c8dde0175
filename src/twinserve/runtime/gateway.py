"""The front door of one deployment: it queues, starts and stops instances, forwards requests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import aiohttp
import msgspec
from aiohttp import hdrs, web

from twinserve.deployment import Deployment
from twinserve.errors import TwinserveError, UsageError
from twinserve.records.events import EventWriter
from twinserve.runtime.commands import HOST
from twinserve.runtime.cpu_watch import CpuWatch
from twinserve.runtime.fleet import Fleet
from twinserve.runtime.inbound import MIB, STATUS_PATH, Inbound, waits_at_most
from twinserve.runtime.losses import Losses
from twinserve.runtime.outbound import CutOff, End, Outbound
from twinserve.runtime.patience import Patience
from twinserve.runtime.readings import Target
from twinserve.runtime.refusals import (
    INSTANCE_HEADER,
    AnswerTooLarge,
    DeadlinePassed,
    Draining,
    InstanceLost,
    NoAnswerInTime,
    Overloaded,
    QueueFull,
    Refusal,
    StartFailed,
    problem,
)
from twinserve.runtime.runner import STOP_WITHIN_S, Runner
from twinserve.runtime.slots import Slots, Ticket
from twinserve.runtime.tally import CONTENT_TYPE, Tally, metrics_text
from twinserve.runtime.upstream import (
    BrokenOff,
    Connections,
    Headers,
    Request,
    Silent,
    Upstream,
    drained,
)
from twinserve.scaling.billing import Billed
from twinserve.scaling.policy import Number, TargetsPolicy, policy_named
from twinserve.scaling.rules import State

METRICS_PATH = "/metrics"
BODY_LIMIT = 32 * MIB  # Cloud Run's for HTTP/1
PATIENCE = Patience()
TICK_S = 0.1
LEAST_STOP_S = 1.0
BACKLOG = 1024
SEND_BUFFER = 256 * 1024


class Gateway:
    """Answers for one deployment on 127.0.0.1, by the rules of its policy.

    Requests wait in the order of their arrival; an instance has at most ``concurrency`` of them.
    A request whose instance fails before the answer began is sent once more. With ``time_scale``
    the times of the policy and the idle time pass so many times as fast.
    """

    def __init__(
        self,
        deployment: Deployment,
        runner: Runner,
        events: EventWriter | None = None,
        *,
        time_scale: float = 1.0,
        patience: Patience = PATIENCE,
        losses: Losses | None = None,
    ) -> None:
        self.deployment = deployment
        self._policy = policy_named(deployment.policy_name).compressed(time_scale)
        self._instances = runner
        self._events = events
        hurried = replace(deployment, idle_s=deployment.idle_s / time_scale)
        self._slots = Slots(hurried, self._policy)
        self._tick_s = TICK_S / max(1.0, time_scale / 20)
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._tally = Tally()
        self._patience = patience
        self._losses = losses or Losses()
        limit_bytes = _bytes(self._policy.request_most_mib)
        self._inbound = Inbound(deployment.name, limit_bytes, patience.request_s)
        self._outbound = Outbound(patience.taken_s, self._slots.meter.sent, self._in_background)
        self._connections = Connections(patience.answer_s)
        self._draining = False
        self._last_failure = ""

    async def open(self, port: int = 0) -> str:
        """Listen on ``port`` (0: any free one), start the minimum of instances; returns the URL.

        Raises:
            UsageError: the port is taken.
        """
        # Only asks whether instances are ready; requests go by :mod:`twinserve.runtime.upstream`.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        self._fleet = Fleet(
            self._slots,
            self._events,
            self._losses,
            self._instances,
            self._session,
            self._rethink,
            self._start_failed,
        )
        url = await self._listen(port)
        self._rethink()
        self._ticking = asyncio.create_task(self._keep_ticking())
        self._cpu = asyncio.create_task(self._watch_cpu())
        return url

    async def drain(self, within_s: float = STOP_WITHIN_S) -> None:
        """Take no more requests, let those in flight finish, stop every instance."""
        self._draining = True
        for ticket in list(self._waiting):
            self._refuse(ticket, Draining(self.deployment.name, within_s))
        began_s = _now_s()
        while self._slots.in_flight and _now_s() - began_s < within_s:
            await asyncio.sleep(TICK_S / 4)
        left_s = max(LEAST_STOP_S, within_s - (_now_s() - began_s))
        await self._fleet.stop_all(left_s)
        while self._tally.here and _now_s() - began_s < within_s:  # answers on their way
            await asyncio.sleep(TICK_S / 4)
        await self._close()

    def targets(self) -> list[Target]:
        """The instances as the resource recorder reads them."""
        return self._fleet.targets()

    def billed(self) -> list[Billed]:
        """What the platform would bill until now, in each of its modes."""
        return self._slots.meter.billed(_now_s())

    def status(self) -> dict[str, object]:
        """Deployment, instances and queue, as ``GET /_gateway/status`` answers."""
        return {
            "deployment": msgspec.to_builtins(self.deployment.without_values()),
            "policy": self._policy.name,
            "draining": self._draining,
            "instances": self._fleet.describe(),
            "wanted": self._slots.decision.wanted,
            "in_flight": self._slots.in_flight,
            "queued": len(self._slots.queue),
            "mean_start_s": self._slots.mean_start_s,
            "last_failure": self._last_failure,
            "requests": self._tally.facts(),
            "not_written": self._losses.facts(),
        }

    async def _listen(self, port: int) -> str:
        server = web.Server(
            self._answer,
            handler_cancellation=True,
            auto_decompress=False,
            access_log=None,
            lingering_time=LEAST_STOP_S,
            keepalive_timeout=self._patience.request_s,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=LEAST_STOP_S)
        await self._runner.setup()
        try:
            await web.SockSite(self._runner, _listening(port), backlog=BACKLOG).start()
        except OSError as error:
            await self._runner.cleanup()
            await self._session.close()
            raise UsageError(
                f"{self.deployment.name} cannot listen on {HOST}:{port} ({error.strerror}); "
                f"name another port or 0 for any."
            ) from None
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path == STATUS_PATH:
            return web.json_response(self.status())
        if path == METRICS_PATH and request.method in (hdrs.METH_GET, hdrs.METH_HEAD):
            return web.Response(body=self._metrics(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})
        self._tally.came += 1
        try:
            return await self._forward(request)
        except TwinserveError as error:
            reason = error.reason if isinstance(error, Refusal) else error.title.lower()
            self._tally.refusals[reason] += 1
            return problem(error)
        except CutOff:
            self._tally.broken += 1
            raise asyncio.CancelledError from None  # its connection is gone: nothing can be said
        except asyncio.CancelledError:
            self._tally.left += 1
            raise

    def _metrics(self) -> bytes:
        counts = {state.value: self._slots.count(state) for state in State}
        queued, in_flight = len(self._slots.queue), self._slots.in_flight
        return metrics_text(
            self.deployment.name,
            self._tally,
            queued,
            in_flight,
            counts,
            self.billed(),
            self._losses.facts(),
        )

    async def _forward(self, request: web.BaseRequest) -> web.StreamResponse:
        """Read the request, wait for a place, pass it on, and once more if that fails."""
        limit_s = waits_at_most(request)
        deadline_s = None if limit_s is None else _now_s() + limit_s
        self._refuse_at_the_door()
        async with self._inbound.received(request) as wanted:
            self._refuse_at_the_door()
            ticket = self._slots.enqueue(_now_s())
            try:
                upstream, first = await self._begun(wanted, ticket, deadline_s)
            except TimeoutError:
                raise DeadlinePassed(limit_s or 0.0, ticket.was_on) from None
        return await self._relay(request, ticket, upstream, first)

    def _refuse_at_the_door(self) -> None:
        if self._draining:
            raise Draining(self.deployment.name, STOP_WITHIN_S)
        if self._slots.is_full:
            raise QueueFull(
                self.deployment.name,
                f"{len(self._slots.queue):,} requests",
                self._policy.queue_full_status.value,
            )

    async def _begun(
        self, wanted: Request, ticket: Ticket, deadline_s: float | None
    ) -> tuple[Upstream, bytes]:
        """The answer once it has begun to come.

        Raises:
            TimeoutError: the deadline came first.
        """
        async with asyncio.timeout_at(deadline_s):
            await self._place(ticket)
            with suppress(BrokenOff):
                return await self._sent(wanted, ticket)
            self._tally.retried += 1
            await self._requeue(ticket)
            await self._place(ticket)
            name = ticket.instance or ""
            try:
                return await self._sent(wanted, ticket)
            except BrokenOff as broken:
                self._release(ticket)
                raise InstanceLost(name, str(broken)) from broken

    async def _place(self, ticket: Ticket) -> None:
        """Wait until the ticket has its place on an instance."""
        self._assign()
        if ticket.instance is not None:
            return
        self._waiting[ticket] = asyncio.get_running_loop().create_future()
        with self._released_on_error(ticket):
            self._rethink()
            if not self._waiting[ticket].done():
                self._refuse_without_hope()
            await self._waiting[ticket]
        del self._waiting[ticket]

    async def _requeue(self, ticket: Ticket) -> None:
        with self._released_on_error(ticket):
            await self._fleet.settled(ticket.instance or "")
        self._slots.retry(ticket, _now_s())

    async def _sent(self, wanted: Request, ticket: Ticket) -> tuple[Upstream, bytes]:
        """The instance's answer; its place is free again once that has come, or by an error here.

        When the client goes away meanwhile, the instance is still at work: its place is free only
        after its answer, else it would have more requests at a time than allowed.

        Raises:
            BrokenOff: before the answer began; the place is not free then.
        """
        sending = asyncio.create_task(self._exchanged(wanted, ticket))
        try:
            upstream, first = await asyncio.shield(sending)
        except BrokenOff:
            raise
        except BaseException:
            self._in_background(self._finish_unread(sending, ticket))
            raise
        upstream.at_end(lambda: self._answered(ticket))
        return upstream, first

    async def _exchanged(self, wanted: Request, ticket: Ticket) -> tuple[Upstream, bytes]:
        name = ticket.instance or ""
        port = self._fleet.port(name)
        if port is None:
            raise BrokenOff("it had just ended")
        try:
            return await self._connections.exchange(port, wanted)
        except Silent:
            limit_s = self._patience.answer_s
            if self._slots.hangs(ticket):
                self._fleet.replace(name, f"nothing came from it for {limit_s:g} s")
            raise NoAnswerInTime(name, limit_s) from None

    async def _relay(
        self, request: web.BaseRequest, ticket: Ticket, upstream: Upstream, first: bytes
    ) -> web.StreamResponse:
        name = ticket.was_on or ""
        self._check_length(upstream, name)
        added: Headers = [(INSTANCE_HEADER, name), ("Server-Timing", _server_timing(ticket))]
        answer, end = await self._outbound.relay(request, upstream, first, added)
        if end is End.WHOLE:
            self._tally.answers[upstream.head.status] += 1
        elif end is End.BROKEN:
            self._tally.broken += 1
        else:
            self._tally.left += 1
        return answer

    def _check_length(self, upstream: Upstream, name: str) -> None:
        limit = _bytes(self._policy.response_most_mib)
        length = upstream.head.values("content-length")
        if self._policy.response_most_mib and length and int(length[0]) > limit:
            upstream.close()
            self._in_background(drained(upstream))
            raise AnswerTooLarge(name, int(length[0]), limit, self._policy.name)

    def _answered(self, ticket: Ticket) -> None:
        self._slots.answered(ticket, _now_s())
        self._release(ticket)

    async def _finish_unread(
        self, sending: asyncio.Task[tuple[Upstream, bytes]], ticket: Ticket
    ) -> None:
        with suppress(Exception):  # nobody waits for it any more
            upstream, _ = await sending
            await drained(upstream)
            self._slots.answered(ticket, _now_s())
        self._release(ticket)

    @contextmanager
    def _released_on_error(self, ticket: Ticket) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._waiting.pop(ticket, None)
            self._release(ticket)
            raise

    def _release(self, ticket: Ticket) -> None:
        self._slots.release(ticket, _now_s())
        self._assign()

    def _assign(self) -> None:
        """Give free places to those who wait, and the instances their CPU before the request."""
        for ticket in self._slots.assign(_now_s()):
            self._fleet.allot(ticket.instance or "")
            waiting = self._waiting.get(ticket)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _rethink(self) -> None:
        """Ask the policy, start what is wanted beyond what runs."""
        self._assign()
        if not self._draining:
            self._slots.decide(_now_s())
            self._fleet.grow()

    def _start_failed(self, reason: str) -> None:
        self._last_failure = reason
        if not self._slots.can_hope:
            for ticket in list(self._waiting):
                self._refuse(ticket, StartFailed(reason, self._fleet.paused_s))

    def _refuse_without_hope(self) -> None:
        if self._draining:
            raise Draining(self.deployment.name, STOP_WITHIN_S)
        if not self._slots.can_hope and self._fleet.paused_s > 0:
            raise StartFailed(self._last_failure, self._fleet.paused_s)

    def _refuse(self, ticket: Ticket, error: TwinserveError) -> None:
        if not self._waiting[ticket].done():
            self._waiting[ticket].set_exception(error)

    async def _keep_ticking(self) -> None:
        """For as long as it listens: whatever goes wrong in one tick, the next one comes, or those
        who wait would wait in silence."""
        while not self._draining:
            try:
                self._tick()
            except Exception as error:
                said = {"message": f"{self.deployment.name}: a tick failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(said)
            await asyncio.sleep(self._tick_s)

    def _tick(self) -> None:
        self._rethink()
        limit_s = self._slots.decision.wait_most_s
        status = self._policy.waited_status.value
        for ticket in self._slots.overdue(_now_s()):
            count = self._slots.count(State.READY)
            self._refuse(ticket, Overloaded(self.deployment.name, count, limit_s, status))
        self._fleet.shrink()
        self._fleet.allot()
        self._connections.sweep()
        self._outbound.sweep()

    async def _watch_cpu(self) -> None:
        """Only where the policy could start another instance for it."""
        if isinstance(self._policy, TargetsPolicy) and self.deployment.max_instances > 1:
            await CpuWatch(self.targets, self._note_cpu).run()

    def _note_cpu(self, busy: float) -> None:
        self._slots.note_cpu(busy, _now_s())

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _close(self) -> None:
        for task in (self._ticking, self._cpu):
            task.cancel()
        await asyncio.gather(self._ticking, self._cpu, return_exceptions=True)
        await self._runner.cleanup()
        while self._background:
            await asyncio.wait(set(self._background))
        self._connections.close()
        await self._session.close()
        await asyncio.sleep(0)  # the loop closes what was aborted


def _listening(port: int) -> socket.socket:
    """The system holds no more than this of an answer, or it would count as taken by a client that
    takes nothing."""
    listener = socket.create_server((HOST, port), backlog=BACKLOG)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return listener


def _bytes(limit: Number | None) -> int:
    return BODY_LIMIT if limit is None else round(limit.value * MIB)


def _server_timing(ticket: Ticket) -> str:
    queue = f"queue;dur={ticket.queue_s * 1000:.3f}"
    return f"{queue}, cold;dur={ticket.cold_s * 1000:.3f}" if ticket.cold_s > 0 else queue


def _now_s() -> float:
    return asyncio.get_running_loop().time()
