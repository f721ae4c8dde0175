"""The front door of one deployment: it queues, starts and stops instances, forwards requests."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import aiohttp
import msgspec
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from twinserve.deployment import Deployment
from twinserve.errors import BodyTooLarge, TwinserveError, UsageError
from twinserve.records.events import EventWriter
from twinserve.runtime.commands import HOST
from twinserve.runtime.fleet import Fleet
from twinserve.runtime.instances import STOP_WITHIN_S, InstanceLog
from twinserve.runtime.readings import Target
from twinserve.runtime.refusals import (
    INSTANCE_HEADER,
    Draining,
    InstanceLost,
    NoAnswerInTime,
    Overloaded,
    StartFailed,
    problem,
)
from twinserve.runtime.slots import Slots, State, Ticket
from twinserve.scaling.policy import wait_limit_s

STATUS_PATH = "/_gateway/status"
BODY_LIMIT = 32 * 1024 * 1024  # Cloud Run's for HTTP/1
ANSWER_WITHIN_S = 300.0  # Cloud Run's default request timeout
TICK_S = 0.1
LEAST_STOP_S = 1.0
# RFC 9110 section 7.6.1; Content-Length and Expect are settled with each side anew.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Without this, aiohttp would add headers that the client did not send.
NOT_INVENTED = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)


class _BrokenOff(Exception):
    """An instance broke off before the first byte of its answer was passed on."""


class Gateway:
    """Answers for one deployment on 127.0.0.1.

    Requests wait in the order of their arrival; an instance has at most ``concurrency`` of them.
    A request whose instance fails before the answer began is sent once more.
    """

    def __init__(
        self, deployment: Deployment, log: InstanceLog, events: EventWriter | None = None
    ) -> None:
        self.deployment = deployment
        self._log = log
        self._events = events
        self._slots = Slots(deployment)
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._draining = False
        self._last_failure = ""

    async def open(self, port: int = 0) -> str:
        """Listen on ``port`` (0: any free one), start the minimum of instances; returns the URL.

        Raises:
            UsageError: the port is taken.
        """
        # A connection to an instance is used once: one that breaks then means that the instance has
        # broken, never that it had just closed an idle connection.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        self._fleet = Fleet(
            self._slots, self._events, self._log, self._session, self._pump, self._start_failed
        )
        url = await self._listen(port)
        self._pump()
        self._in_background(self._keep_ticking())
        return url

    async def drain(self, within_s: float = STOP_WITHIN_S) -> None:
        """Take no more requests, let those in flight finish, stop every instance."""
        self._draining = True
        for ticket in list(self._waiting):
            self._refuse(ticket, Draining(self.deployment.name))
        began_s = _now_s()
        while self._slots.in_flight and _now_s() - began_s < within_s:
            await asyncio.sleep(TICK_S / 4)
        left_s = max(LEAST_STOP_S, within_s - (_now_s() - began_s))
        await self._fleet.stop_all(left_s)
        await self._close()

    def targets(self) -> list[Target]:
        """The instances as the resource recorder reads them."""
        return self._fleet.targets()

    def status(self) -> dict[str, object]:
        """Deployment, instances and queue, as ``GET /_gateway/status`` answers."""
        return {
            "deployment": msgspec.to_builtins(self.deployment),
            "draining": self._draining,
            "instances": self._fleet.describe(),
            "in_flight": self._slots.in_flight,
            "queued": len(self._slots.queue),
            "mean_start_s": self._slots.mean_start_s,
            "last_failure": self._last_failure,
        }

    async def _listen(self, port: int) -> str:
        server = web.Server(
            self._answer, handler_cancellation=True, auto_decompress=False, access_log=None
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=LEAST_STOP_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, port, backlog=1024).start()
        except OSError as error:
            await self._runner.cleanup()
            await self._session.close()
            raise UsageError(
                f"{self.deployment.name} cannot listen on {HOST}:{port} ({error.strerror}); "
                f"name another port or 0 for any."
            ) from None
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.rel_url.raw_path == STATUS_PATH:
            return web.json_response(self.status())
        try:
            if self._draining:
                raise Draining(self.deployment.name)
            return await self._forward(request, await _read_body(request))
        except TwinserveError as error:
            return problem(error)

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        ticket = self._slots.enqueue(_now_s())
        await self._place(ticket)
        with suppress(_BrokenOff):
            return await self._exchange(request, body, ticket)
        await self._requeue(ticket)
        await self._place(ticket)
        name = ticket.instance or ""
        try:
            return await self._exchange(request, body, ticket)
        except _BrokenOff as broken:
            self._release(ticket)
            raise InstanceLost(name, str(broken)) from broken

    async def _place(self, ticket: Ticket) -> None:
        """Wait until the ticket has its place on an instance."""
        self._waiting[ticket] = asyncio.get_running_loop().create_future()
        with self._released_on_error(ticket):
            self._pump()
            if not self._waiting[ticket].done():
                self._refuse_without_hope()
            await self._waiting[ticket]
        del self._waiting[ticket]

    async def _requeue(self, ticket: Ticket) -> None:
        with self._released_on_error(ticket):
            await self._fleet.settled(ticket.instance or "")
        self._slots.retry(ticket, _now_s())

    async def _exchange(
        self, request: web.BaseRequest, body: bytes, ticket: Ticket
    ) -> web.StreamResponse:
        """Send to the instance and pass its answer on; frees the place, except when broken off.

        When the client goes away meanwhile, the instance is still at work: its place is free only
        after its answer, else it would have more requests at a time than allowed.
        """
        sending = asyncio.create_task(self._send(request, body, ticket.instance or ""))
        try:
            upstream, first = await asyncio.shield(sending)
            answer = await self._relay(request, ticket, upstream, first)
        except _BrokenOff:
            raise
        except BaseException:
            self._in_background(self._finish_unread(sending, ticket))
            raise
        if upstream.content.at_eof():
            self._release(ticket)
        else:
            self._in_background(self._finish_unread(sending, ticket))
        return answer

    async def _send(
        self, request: web.BaseRequest, body: bytes, name: str
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """The instance's answer and the first bytes of its body."""
        port = self._fleet.port(name)
        if port is None:
            raise _BrokenOff("it had just ended")
        url = f"http://{HOST}:{port}{request.rel_url.raw_path_qs}"
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                upstream = await self._session.request(
                    request.method,
                    URL(url, encoded=True),
                    headers=_passed_on(request.headers),
                    data=BytesIO(body) if body else None,
                    allow_redirects=False,
                    skip_auto_headers=NOT_INVENTED,
                )
                return upstream, await _first_chunk(upstream)
        except TimeoutError:
            raise NoAnswerInTime(name, ANSWER_WITHIN_S) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise _BrokenOff(str(error) or type(error).__name__) from error

    async def _relay(
        self,
        request: web.BaseRequest,
        ticket: Ticket,
        upstream: aiohttp.ClientResponse,
        chunk: bytes,
    ) -> web.StreamResponse:
        answer = web.StreamResponse(
            status=upstream.status, reason=upstream.reason, headers=_passed_on(upstream.headers)
        )
        answer.headers[INSTANCE_HEADER] = ticket.instance or ""
        answer.headers.add("Server-Timing", _server_timing(ticket))
        with suppress(ConnectionError):  # the client is gone
            await answer.prepare(request)
            while chunk:
                await answer.write(chunk)
                chunk = await self._next_chunk(request, upstream)
            await answer.write_eof()
        return answer

    async def _next_chunk(
        self, request: web.BaseRequest, upstream: aiohttp.ClientResponse
    ) -> bytes:
        """More of the instance's answer, empty at its end.

        When the instance breaks off, half an answer is out, and only a broken connection tells the
        client that it is half.
        """
        try:
            return await upstream.content.readany()
        except (aiohttp.ClientError, ConnectionError):
            upstream.close()
            if request.transport is not None:
                request.transport.abort()
            return b""

    async def _finish_unread(
        self, sending: asyncio.Task[tuple[aiohttp.ClientResponse, bytes]], ticket: Ticket
    ) -> None:
        with suppress(Exception):  # nobody waits for it any more
            upstream, _ = await sending
            while await upstream.content.readany():
                pass
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
        self._pump()

    def _pump(self) -> None:
        """Give free places to those who wait; start what is wanted beyond."""
        for ticket in self._slots.assign(_now_s()):
            if not self._waiting[ticket].done():
                self._waiting[ticket].set_result(None)
        if not self._draining:
            self._fleet.grow()

    def _start_failed(self, reason: str) -> None:
        self._last_failure = reason
        if not self._slots.can_hope:
            for ticket in list(self._waiting):
                self._refuse(ticket, StartFailed(reason, self._fleet.paused_s))

    def _refuse_without_hope(self) -> None:
        if self._draining:
            raise Draining(self.deployment.name)
        if not self._slots.can_hope and self._fleet.paused_s > 0:
            raise StartFailed(self._last_failure, self._fleet.paused_s)

    def _refuse(self, ticket: Ticket, error: TwinserveError) -> None:
        if not self._waiting[ticket].done():
            self._waiting[ticket].set_exception(error)

    async def _keep_ticking(self) -> None:
        while not self._draining:
            limit_s = wait_limit_s(self._slots.mean_start_s)
            for ticket in self._slots.overdue(_now_s()):
                count = self._slots.count(State.READY)
                self._refuse(ticket, Overloaded(self.deployment.name, count, limit_s))
            self._fleet.shrink()
            self._pump()
            await asyncio.sleep(TICK_S)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _close(self) -> None:
        await self._runner.cleanup()
        while self._background:
            await asyncio.wait(set(self._background))
        await self._session.close()


async def _read_body(request: web.BaseRequest) -> bytes:
    """The whole body: it may have to be sent twice.

    Raises:
        BodyTooLarge: it has more than 32 MiB.
    """
    declared = request.content_length or 0
    if declared > BODY_LIMIT:
        raise BodyTooLarge(declared, BODY_LIMIT)
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise BodyTooLarge(len(body), BODY_LIMIT)
    return bytes(body)


async def _first_chunk(upstream: aiohttp.ClientResponse) -> bytes:
    try:
        return await upstream.content.readany()
    except BaseException:
        upstream.close()
        raise


def _passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """End-to-end headers only: neither the standard hop-by-hop ones nor those of Connection."""
    named = {
        name.strip().lower()
        for line in headers.getall(hdrs.CONNECTION, ())
        for name in line.split(",")
    }
    dropped = HOP_BY_HOP | named
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in dropped
    )


def _server_timing(ticket: Ticket) -> str:
    queue = f"queue;dur={ticket.queue_s * 1000:.3f}"
    return f"{queue}, cold;dur={ticket.cold_s * 1000:.3f}" if ticket.cold_s > 0 else queue


def _now_s() -> float:
    return asyncio.get_running_loop().time()
