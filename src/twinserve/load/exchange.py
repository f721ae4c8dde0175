"""One HTTP/1.1 exchange over a connection of its own: connect, send, read to the last byte, close.

llhttp (by ``httptools``) reads the answers. What a client library does above it (cookies,
redirects, pools) costs CPU that would be counted as the service's time; ``make bench-load``
measures what is left.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast
from urllib.parse import SplitResult, urlsplit

import httptools

from twinserve import __version__
from twinserve.errors import UsageError

DEFAULT_PORTS = {"http": 80, "https": 443}
OWN_HEADERS = frozenset(("host", "connection", "content-length", "transfer-encoding"))


@dataclass(frozen=True)
class Address:
    """Where a URL's requests go."""

    host: str
    port: int
    tls: bool
    authority: str  # the Host header
    path: str

    @classmethod
    def of(cls, url: str) -> Address:
        """The address of an ``http`` or ``https`` URL.

        Raises:
            UsageError: it is none.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"{url!r} is not a URL: {error}.") from None
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise UsageError(f"{url!r} is not a URL that can be asked; use http://… or https://….")
        return cls(
            host=parts.hostname,
            port=port or DEFAULT_PORTS[parts.scheme],
            tls=parts.scheme == "https",
            authority=parts.netloc.rpartition("@")[2],
            path=_target(parts),
        )


@dataclass
class Answer:
    """What has come back so far; stays readable when the connection breaks half-way.

    Times are the clock's, None for what did not happen. Header names are in lower case; a header
    that came more than once has its values in order.
    """

    connected_us: int | None = None
    first_byte_us: int | None = None
    status: int = 0
    reason: str = ""
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""


def request_bytes(address: Address, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A POST of ``body``, as it goes over the wire.

    Raises:
        UsageError: a header is ours to set, or would end its line.
    """
    lines = [
        f"POST {address.path} HTTP/1.1",
        f"Host: {address.authority}",
        f"User-Agent: twinserve/{__version__}",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *(_header_line(name, value) for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def exchange(
    address: Address,
    request: bytes,
    answer: Answer,
    now_us: Callable[[], int],
    timeout_s: float,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Send ``request`` and fill ``answer`` as it comes; what goes wrong is ``answer.failure``."""
    reader = _Reader(request, answer, now_us)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            await loop.create_connection(
                lambda: reader, address.host, address.port, ssl=tls if address.tls else None
            )
            await reader.ended
    except TimeoutError:
        answer.failure = f"no answer within {timeout_s:g} s"
    except (OSError, httptools.HttpParserError) as error:
        answer.failure = f"{type(error).__name__}: {error}"
    finally:
        reader.close()


class _Reader(asyncio.Protocol):
    """Both ends of the exchange, as asyncio and llhttp call them."""

    def __init__(self, request: bytes, answer: Answer, now_us: Callable[[], int]) -> None:
        self._request = request
        self._answer = answer
        self._now_us = now_us
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._until_closed = False  # neither a length nor chunks tell where the body ends
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """Let go of the connection, whatever is still under way on it."""
        if self._transport is not None:
            self._transport.abort()
        self.ended.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no asyncio class
        self._answer.connected_us = self._now_us()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._answer.first_byte_us is None:
            self._answer.first_byte_us = self._now_us()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        if self._until_closed and error is None:
            self._finish()
        else:
            self._fail(error or ConnectionResetError("the connection ended before the answer did"))

    def on_status(self, reason: bytes) -> None:
        self._answer.reason += reason.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        values = self._answer.headers.setdefault(name.decode("latin-1").lower(), [])
        values.append(value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        headers = self._answer.headers
        self._answer.status = self._parser.get_status_code()
        self._until_closed = not {"content-length", "transfer-encoding"} & headers.keys()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer.status < HTTPStatus.OK:  # 100 Continue, 103 Early Hints: the answer follows
            answer.status, answer.reason, answer.headers = 0, "", {}
            return
        self._finish()

    def _finish(self) -> None:
        self._answer.body = b"".join(self._body)
        if not self.ended.done():
            self.ended.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._answer.body = b"".join(self._body)
        if not self.ended.done():
            self.ended.set_exception(error)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _header_line(name: str, value: str) -> str:
    if name.lower() in OWN_HEADERS:
        raise UsageError(f"The header {name} is set by Twinserve; leave it out.")
    if not name.isascii() or any(c in f"{name}{value}" for c in "\r\n\0") or ":" in name:
        raise UsageError(f"The header {name!r} cannot be sent: its name or value is not one line.")
    return f"{name}: {value}"
