"""The gateway's way to its instances: HTTP/1.1 exchanges over connections that are kept a moment.

Leaner than a general client (about a quarter of the time), since all it needs is to pass on: no
redirects, no cookies, no decoding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from twinserve.runtime.commands import HOST

KEPT_S = 1.0  # gunicorn closes an idle connection after 2 s
HEAD_LIMIT = 64 * 1024
# So much of an answer waits here for a slow client, so that the instance is free for the next one.
PAUSE_ABOVE = 4 * 1024 * 1024
LINE_END = b"\r\n"
HEAD_END = b"\r\n\r\n"
WITH_BODY = ("POST", "PUT", "PATCH")
NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
Headers = list[tuple[str, str]]


class BrokenOff(Exception):
    """The instance broke off, or what it sent is not HTTP; the words say which."""


class Silent(BrokenOff):
    """Nothing came from the instance for as long as it may take."""


@dataclass(frozen=True)
class Request:
    """What to send: ``headers`` go as they are, Content-Length is added."""

    method: str
    path: str  # with its query, as it was received
    headers: Headers
    body: bytes

    def encoded(self) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in WITH_BODY:
            lines.append(f"Content-Length: {len(self.body)}")
        # The parser before us lets no line end through; its lone surrogates are bytes above 127.
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + HEAD_END + self.body


@dataclass(frozen=True)
class Head:
    """The first part of an answer, header names as they were sent."""

    status: int
    reason: str
    headers: Headers
    is_http_1_1: bool = True

    def values(self, name: str) -> list[str]:
        """Every value of the header, ``name`` in small letters."""
        return [value for key, value in self.headers if key.lower() == name]


class Connections:
    """The gateway's connections to instances, each kept a moment for the next request.

    ``silent_s`` is how long an instance may send nothing.
    """

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self._idle: dict[int, list[_Wire]] = {}

    async def exchange(self, port: int, request: Request) -> tuple[Upstream, bytes]:
        """Send a request to the instance at ``port``; its answer, once it has begun to come, and
        the first piece of the answer's body.

        A kept connection may be closed by the instance at the moment of its use; then the request
        goes over a new one, and only what befalls a new one counts.

        Raises:
            BrokenOff: nothing listens, the connection broke, the answer is not HTTP, or nothing
                came for as long as it may (:class:`Silent`).
        """
        while (wire := self._kept(port)) is not None:
            with suppress(_Stale):
                return await self._exchanged(wire, request)
        return await self._exchanged(await self._opened(port), request)

    def sweep(self) -> None:
        """Close what nobody has used for a while, before the instance does."""
        oldest_s = asyncio.get_running_loop().time() - KEPT_S
        for wires in list(self._idle.values()):
            for wire in [wire for wire in wires if wire.idle_since_s < oldest_s]:
                wire.abort()

    def close(self) -> None:
        """Close all that are idle."""
        for wires in list(self._idle.values()):
            for wire in list(wires):
                wire.abort()

    async def _exchanged(self, wire: _Wire, request: Request) -> tuple[Upstream, bytes]:
        upstream = wire.begin(request, self._silent_s)
        try:
            await upstream.until_head()
            return upstream, await upstream.read()
        except BaseException:
            wire.abort()
            raise

    async def _opened(self, port: int) -> _Wire:
        loop = asyncio.get_running_loop()
        made = partial(_Wire, partial(self._keep, port), partial(self._forget, port))
        try:
            _, wire = await loop.create_connection(made, HOST, port)
        except OSError as error:
            raise BrokenOff(str(error) or type(error).__name__) from error
        return wire

    def _kept(self, port: int) -> _Wire | None:
        wires = self._idle.get(port)
        return wires.pop() if wires else None

    def _keep(self, port: int, wire: _Wire) -> None:
        self._idle.setdefault(port, []).append(wire)

    def _forget(self, port: int, wire: _Wire) -> None:
        wires = self._idle.get(port, [])
        if wire in wires:
            wires.remove(wire)
        if not wires:
            self._idle.pop(port, None)


class _Stale(BrokenOff):
    """A kept connection was closed before a byte of the answer had come."""


class _Wire(asyncio.Protocol):
    """One connection; it belongs to one exchange at a time, or to none while it is kept."""

    def __init__(self, keep: Callable[[_Wire], None], forget: Callable[[_Wire], None]) -> None:
        self._keep = keep
        self._forget = forget
        self._transport: asyncio.Transport | None = None
        self._upstream: Upstream | None = None
        self._paused = False
        self.uses = 0
        self.idle_since_s = 0.0

    def begin(self, request: Request, silent_s: float) -> Upstream:
        """Send a request; its answer."""
        self.uses += 1
        self._upstream = upstream = Upstream(request.method, silent_s, self)
        if self._transport is None or self._transport.is_closing():
            upstream.lost(None)
        else:
            self._transport.write(request.encoded())
        return upstream

    def done(self, upstream: Upstream) -> None:
        """The answer has come as a whole: keep the connection, if the instance does."""
        if self._upstream is not upstream:
            return
        self._upstream = None
        if self._transport is None:
            return
        if upstream.keeps_connection:
            self.pause(False)
            self.idle_since_s = asyncio.get_running_loop().time()
            self._keep(self)
        else:
            self._transport.close()

    def pause(self, wanted: bool) -> None:
        """Stop reading for as long as the client does not take what has come."""
        if wanted != self._paused and self._transport is not None:
            self._paused = wanted
            (self._transport.pause_reading if wanted else self._transport.resume_reading)()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # For the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP connection
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._upstream is None:
            self.abort()  # nobody asked
        else:
            self._upstream.feed(data)

    def connection_lost(self, exception: Exception | None) -> None:
        self._transport = None
        self._forget(self)
        if self._upstream is not None:
            self._upstream.lost(exception)


class Upstream:
    """An answer on its way: its ``head``, then pieces of its body as they come."""

    head: Head

    def __init__(self, method: str, silent_s: float, wire: _Wire) -> None:
        self._method = method
        self._silent_s = silent_s
        self._wire = wire
        self._raw = bytearray()  # not understood yet
        self._pieces = bytearray()  # of the body, not taken yet
        self._heard = False
        self._framing: _Framing | None = None
        self._whole = False
        self._error: BrokenOff | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._at_end: Callable[[], None] | None = None

    # For the gateway

    def at_end(self, then: Callable[[], None]) -> None:
        """Call ``then`` once the whole answer has come, taken by the client or not, or broke
        off."""
        self._at_end = then
        self._notice_end()

    async def until_head(self) -> None:
        while self._framing is None:
            await self._more()

    async def read(self) -> bytes:
        """The next piece of the body, as much as is there; empty at its end.

        Raises:
            BrokenOff: the connection broke before the end.
        """
        while not self._pieces and not self._whole:
            await self._more()
        piece = bytes(self._pieces)
        self._pieces.clear()
        if not self._whole:
            self._wire.pause(False)
        return piece

    def close(self) -> None:
        """Nobody wants the rest."""
        if not self._whole:
            self._wire.abort()

    # For the connection

    @property
    def keeps_connection(self) -> bool:
        """Whether the instance may be asked again over the same connection (RFC 9112, 9.3)."""
        told = {
            each.strip().lower()
            for line in self.head.values("connection")
            for each in line.split(",")
        }
        return (
            self.head.is_http_1_1
            and "close" not in told
            and not self._raw
            and self._framing is not None
            and not self._framing.until_close
        )

    def feed(self, data: bytes) -> None:
        """More bytes have come."""
        self._heard = True
        self._raw += data
        try:
            self._understand()
        except BrokenOff as error:
            self._error = error
            self._wire.abort()
        if self._whole:
            self._wire.done(self)
        elif len(self._pieces) > PAUSE_ABOVE:
            self._wire.pause(True)
        self._notice_end()
        self._wake()

    def lost(self, exception: Exception | None) -> None:
        """The connection is gone."""
        if self._framing is not None and self._framing.until_close and exception is None:
            self._whole = True
        elif not self._whole and self._error is None:
            words = str(exception) if exception else "it closed the connection"
            is_stale = self._wire.uses > 1 and not self._heard
            self._error = (_Stale if is_stale else BrokenOff)(words)
        self._notice_end()
        self._wake()

    def _understand(self) -> None:
        while self._framing is None:
            end = self._raw.find(HEAD_END)
            if end < 0:
                if len(self._raw) > HEAD_LIMIT:
                    raise BrokenOff(f"its head has more than {HEAD_LIMIT:,} bytes")
                return
            head = _head(bytes(self._raw[:end]))
            del self._raw[: end + len(HEAD_END)]
            if head.status >= HTTPStatus.OK:  # what comes before is information only
                self.head = head
                self._framing = _framing(self._method, head)
        self._pieces += self._framing.take(self._raw)
        self._whole = self._framing.is_done

    async def _more(self) -> None:
        if self._error:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._silent_s):
                await self._waiter
        except TimeoutError:
            self._error = Silent(f"nothing came for {self._silent_s:g} s")
            self._wire.abort()
            raise self._error from None
        finally:
            self._waiter = None

    def _notice_end(self) -> None:
        if self._at_end is not None and (self._whole or self._error is not None):
            then, self._at_end = self._at_end, None
            then()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Framing:
    """Where the body ends: after so many bytes, or with the connection."""

    def __init__(self, length: int | None) -> None:
        self.until_close = length is None
        self._left = length or 0

    @property
    def is_done(self) -> bool:
        return not self.until_close and not self._left

    def take(self, raw: bytearray) -> bytes:
        """What of ``raw`` belongs to the body; it is taken off."""
        count = len(raw) if self.until_close else min(self._left, len(raw))
        body = bytes(raw[:count])
        del raw[:count]
        if not self.until_close:
            self._left -= count
        return body


class _Chunks(_Framing):
    """A body in chunks (RFC 9112 section 7.1); extensions and trailers are left out."""

    def __init__(self) -> None:
        super().__init__(0)
        self._in_trailer = False
        self._done = False

    @property
    def is_done(self) -> bool:
        return self._done

    def take(self, raw: bytearray) -> bytes:
        body = bytearray()
        while not self._done:
            if self._left:
                piece = super().take(raw)
                body += piece
                if self._left or not raw:
                    break
            line, found, _ = raw.partition(LINE_END)
            if not found:
                if len(raw) > HEAD_LIMIT:
                    raise BrokenOff("the line before a chunk has no end")
                break
            del raw[: len(line) + len(LINE_END)]
            self._on_line(bytes(line))
        return bytes(body)

    def _on_line(self, line: bytes) -> None:
        if self._in_trailer:
            self._done = not line
        elif line:  # an empty one ends the chunk before
            self._left = _chunk_size(line)
            self._in_trailer = self._left == 0


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise BrokenOff(f"{line[:40]!r} is no chunk size")
    return int(digits, 16)


def _framing(method: str, head: Head) -> _Framing:
    """RFC 9112 section 6.3."""
    if method == "HEAD" or head.status in NO_BODY:
        return _Framing(0)
    if any("chunked" in value.lower() for value in head.values("transfer-encoding")):
        return _Chunks()
    lengths = set(head.values("content-length"))
    if not lengths:
        return _Framing(None)
    [length, *others] = lengths
    if others or not (length.isascii() and length.isdecimal()):
        raise BrokenOff(f"its Content-Length is {sorted(lengths)}")
    return _Framing(int(length))


def _head(raw: bytes) -> Head:
    first, *lines = raw.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not (status.isdecimal() and len(status) == 3):
        raise BrokenOff(f"{first[:40]!r} is no HTTP")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BrokenOff(f"{line[:40]!r} is no header")
        headers.append((name, value.strip(" \t")))
    return Head(int(status), reason, headers, version == "HTTP/1.1")


async def drained(upstream: Upstream) -> None:
    """Read to the end what nobody wants any more; a broken end is one too."""
    with suppress(BrokenOff):
        while await upstream.read():
            pass
