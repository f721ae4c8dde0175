"""The way of an answer to its client, and what happens when the client does not take it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import hdrs, web
from multidict import CIMultiDict

from twinserve.runtime.inbound import end_to_end
from twinserve.runtime.upstream import BrokenOff, Headers, Upstream, drained


class CutOff(Exception):
    """The client took nothing of its answer for too long, and its connection was ended."""


class End(StrEnum):
    """How it went: the whole answer was handed over, the client went away, or the instance broke
    off half-way and the connection was ended, so that the client knows."""

    WHOLE = "whole"
    LEFT = "left"
    BROKEN = "broken"


@dataclass
class _Sending:
    transport: asyncio.Transport
    waiting_bytes: int
    since_s: float
    cut: bool = False


class Outbound:
    """Passes answers on; a client that takes nothing for ``taken_s`` is cut off.

    ``sent`` is told of the bytes of bodies; ``in_background`` takes work that nobody waits for.
    """

    def __init__(
        self,
        taken_s: float,
        sent: Callable[[int], None],
        in_background: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._taken_s = taken_s
        self._sent = sent
        self._in_background = in_background
        self._sendings: list[_Sending] = []

    async def relay(
        self, request: web.BaseRequest, upstream: Upstream, first: bytes, added: Headers
    ) -> tuple[web.StreamResponse, End]:
        """Pass an answer on with the headers ``added``; one that is here already goes in one piece,
        which is quicker.

        Raises:
            CutOff: the client took nothing for too long.
        """
        head = upstream.head
        headers = CIMultiDict(end_to_end(head.headers))
        headers.extend(added)
        length = head.values("content-length")
        whole = length == [str(len(first))] and request.method != hdrs.METH_HEAD
        answer = (web.Response if whole else web.StreamResponse)(
            status=head.status, reason=head.reason, headers=headers
        )
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):  # it has just gone
            self._in_background(drained(upstream))
            return answer, End.LEFT
        sending = _Sending(transport, 0, asyncio.get_running_loop().time())
        self._sendings.append(sending)
        try:
            return answer, await self._passed_on(request, answer, upstream, first)
        except BaseException as error:
            self._in_background(drained(upstream))
            if sending.cut:
                raise CutOff from None
            if isinstance(error, ConnectionError):
                return answer, End.LEFT
            raise
        finally:
            self._sendings.remove(sending)

    def sweep(self) -> None:
        """Cut off the clients that have taken nothing for too long."""
        now_s = asyncio.get_running_loop().time()
        for sending in self._sendings:
            waiting_bytes = sending.transport.get_write_buffer_size()
            if not waiting_bytes or waiting_bytes < sending.waiting_bytes:
                sending.since_s = now_s
            elif now_s - sending.since_s > self._taken_s:
                sending.cut = True
                _reset(sending.transport)
            sending.waiting_bytes = waiting_bytes

    async def _passed_on(
        self, request: web.BaseRequest, answer: web.StreamResponse, upstream: Upstream, first: bytes
    ) -> End:
        if not isinstance(answer, web.Response):
            return await self._stream(request, answer, upstream, first)
        answer.body = first
        await answer.prepare(request)
        await answer.write_eof()
        self._sent(len(first))
        return End.WHOLE

    async def _stream(
        self, request: web.BaseRequest, answer: web.StreamResponse, upstream: Upstream, chunk: bytes
    ) -> End:
        """Piece by piece.

        When the instance breaks off, half an answer is out, and only a broken connection tells the
        client that it is half.
        """
        await answer.prepare(request)
        try:
            while chunk:
                await answer.write(chunk)
                self._sent(len(chunk))
                chunk = await upstream.read()
        except BrokenOff:
            if isinstance(request.transport, asyncio.Transport):
                _reset(request.transport)
            return End.BROKEN
        await answer.write_eof()
        return End.WHOLE


def _reset(transport: asyncio.Transport) -> None:
    """End a connection so that its client is told (RST): an orderly end would come only after what
    the system still holds, and could be taken for the end of the answer."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
