"""One exchange against servers that answer well, oddly, half, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import uvloop

from twinserve.errors import UsageError
from twinserve.load.exchange import Address, Answer, exchange, request_bytes
from twinserve.load.sender import Clock

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"a":1}'


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Answer]:
    """``ask(serve)`` starts a server on loopback, sends it one request, and returns the answer."""

    def asked(serve: Serve, timeout_s: float = 5.0) -> Answer:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(_asked(serve, timeout_s))

    return asked


def test_a_whole_answer_is_read_with_its_times_in_order(ask: Callable[..., Answer]) -> None:
    answer = ask(answering(OK + b"Content-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhe", b"llo"))
    assert (answer.status, answer.reason, answer.body, answer.failure) == (200, "OK", b"hello", "")
    assert answer.headers["x-a"] == ["1", "2"]
    assert answer.connected_us is not None and answer.first_byte_us is not None
    assert 0 <= answer.connected_us <= answer.first_byte_us


def test_the_server_gets_the_body_and_is_told_that_the_connection_ends(
    ask: Callable[..., Answer],
) -> None:
    seen = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        seen.append(await reader.readexactly(7))
        writer.write(OK + b"Content-Length: 0\r\n\r\n")

    assert ask(serve).status == 200
    head, body = seen
    assert head.startswith(b"POST /generate?a=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nConnection: close\r\n" in head and b"\r\nX-Own: yes\r\n" in head
    assert body == b'{"a":1}'


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        OK + b"\r\nhello",  # ends with the connection
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ],
    ids=["chunked", "until the end", "100 first", "103 first", "HTTP/1.0"],
)
@pytest.mark.parametrize("pieces", [1, 7], ids=["at once", "in small pieces"])
def test_every_way_to_delimit_an_answer_is_understood(
    ask: Callable[..., Answer], raw: bytes, pieces: int
) -> None:
    step = max(1, len(raw) // pieces)
    answer = ask(answering(*(raw[i : i + step] for i in range(0, len(raw), step))))
    assert (answer.status, answer.body, answer.failure) == (200, b"hello", "")
    assert "link" not in answer.headers


def test_an_answer_that_breaks_off_keeps_what_came(ask: Callable[..., Answer]) -> None:
    answer = ask(answering(OK + b"Content-Length: 100\r\n\r\nhalf"))
    assert (answer.status, answer.body) == (200, b"half")
    assert answer.failure == "ConnectionResetError: the connection ended before the answer did"


def test_a_server_that_hangs_up_at_once_is_a_failure(ask: Callable[..., Answer]) -> None:
    answer = ask(answering())
    assert answer.status == 0
    assert "Connection" in answer.failure
    assert answer.connected_us is not None and answer.first_byte_us is None


def test_what_is_not_http_is_a_failure(ask: Callable[..., Answer]) -> None:
    assert "HttpParser" in ask(answering(b"SSH-2.0-OpenSSH_9.2\r\n")).failure


def test_a_server_that_stays_silent_runs_into_the_time_limit(ask: Callable[..., Answer]) -> None:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    assert ask(serve, timeout_s=0.2).failure == "no answer within 0.2 s"


def test_a_port_on_which_nobody_listens_is_a_failure_and_not_an_error() -> None:
    answer = Answer()
    asyncio.run(exchange(Address.of("http://127.0.0.1:9"), b"", answer, Clock.start().now_us, 5.0))
    assert "ConnectionRefused" in answer.failure
    assert answer.connected_us is None


@pytest.mark.parametrize("url", ["ftp://a/b", "127.0.0.1:80", "http://", "http://a:port/"])
def test_an_address_that_cannot_be_asked_is_named(url: str) -> None:
    with pytest.raises(UsageError, match="is not a URL"):
        Address.of(url)


def test_a_password_in_the_url_does_not_travel_in_the_host_header() -> None:
    address = Address.of("https://me:secret@example.org/x")
    assert (address.authority, address.port, address.tls) == ("example.org", 443, True)


@pytest.mark.parametrize("header", [("X-A", "1\r\nX-B: 2"), ("X A\r\n", "1"), ("Host", "b")])
def test_a_header_that_would_change_the_request_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="header"):
        request_bytes(Address.of("http://a"), b"", dict([header]))


def answering(*pieces: bytes) -> Serve:
    """A server that answers any request by ``pieces`` and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(BODY)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)

    return serve


async def _asked(serve: Serve, timeout_s: float) -> Answer:
    handled = asyncio.Event()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            handled.set()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = Address.of(f"http://127.0.0.1:{port}/generate?a=1")
    request = request_bytes(address, BODY, {"X-Own": "yes"})
    answer = Answer()
    await exchange(address, request, answer, Clock.start().now_us, timeout_s)
    await handled.wait()
    server.close()
    return answer
