"""Understanding what an instance sends, in whatever pieces it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinserve.runtime.upstream import BrokenOff, Connections, Request, Silent, Upstream


class NoWire:
    """A connection that is only asked what happens to it."""

    uses = 1

    def __init__(self) -> None:
        self.is_done = self.is_aborted = False

    def done(self, _: Upstream) -> None:
        self.is_done = True

    def abort(self) -> None:
        self.is_aborted = True

    def pause(self, wanted: bool) -> None:
        """Nothing to pause."""


def understood(raw: bytes, cuts: list[int], method: str = "GET", closes: bool = False) -> Any:
    """Head, body and connection after ``raw`` came in pieces cut at ``cuts``."""

    async def feed() -> Any:
        wire: Any = NoWire()
        upstream = Upstream(method, 60.0, wire)
        places = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
        for begin, end in pairwise(places):
            if end > begin and not wire.is_done:
                upstream.feed(raw[begin:end])
        if closes:
            upstream.lost(None)
        await upstream.until_head()
        body = b""
        while piece := await upstream.read():
            body += piece
        return upstream.head, body, wire, upstream.keeps_connection

    return asyncio.run(feed())


cuts = st.lists(st.integers(0, 10_000), max_size=8)


@given(cuts)
def test_a_body_of_known_length(places: list[int]) -> None:
    raw = b"HTTP/1.1 200 Very well\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: \xc3\xa4 2\r\n\r\n12345"
    head, body, wire, kept = understood(raw, places)
    assert (head.status, head.reason, body) == (200, "Very well", b"12345")
    assert head.values("x-a") == ["1", "Ã¤ 2"]
    assert (wire.is_done, kept) == (True, True)


@given(cuts, st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_a_body_in_chunks(places: list[int], pieces: list[bytes]) -> None:
    chunks = b"".join(b"%X;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nA: b\r\n\r\n"
    _, body, wire, kept = understood(raw, places)
    assert body == b"".join(pieces)
    assert (wire.is_done, kept) == (True, True)


@given(cuts)
def test_a_body_until_the_connection_ends(places: list[int]) -> None:
    raw = b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nall of this"
    _, body, _, kept = understood(raw, places, closes=True)
    assert (body, kept) == (b"all of this", False)


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("GET", b"HTTP/1.1 103 Early\r\nA: x\r\n\r\nHTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_an_answer_without_a_body(method: str, raw: bytes) -> None:
    _, body, wire, _ = understood(raw, [], method)
    assert (body, wire.is_done) == (b"", True)


@pytest.mark.parametrize("told", [b"Connection: close", b"connection: X, Close"])
def test_a_connection_that_is_to_be_closed_is_not_kept(told: bytes) -> None:
    *_, kept = understood(b"HTTP/1.1 200 OK\r\n" + told + b"\r\nContent-Length: 0\r\n\r\n", [])
    assert not kept


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    ],
)
def test_what_is_not_http_or_ends_early_is_broken(raw: bytes) -> None:
    with pytest.raises(BrokenOff):
        understood(raw, [], closes=True)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ASKED = Request("GET", "/", [("Host", "x")], b"")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def against(serve: Serve, work: Callable[[Connections, int], Awaitable[Any]]) -> Any:
    """``work(connections, port)`` with a server at the port."""

    async def whole() -> Any:
        handlers: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            handlers.add(asyncio.current_task())  # type: ignore[arg-type]
            try:
                await serve(reader, writer)
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        connections = Connections(silent_s=0.5)
        port = server.sockets[0].getsockname()[1]
        try:
            async with server:
                return await work(connections, port)
        finally:
            connections.close()
            await asyncio.gather(*handlers, return_exceptions=True)
            await asyncio.sleep(0.01)

    return asyncio.run(whole())


def test_a_connection_is_used_again_and_closed_when_it_is_not() -> None:
    opened: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        while (await reader.read(1000)).endswith(b"\r\n\r\n"):
            writer.write(OK)
        writer.close()

    async def work(connections: Connections, port: int) -> list[int]:
        counts = []
        for _ in range(5):
            _, first = await connections.exchange(port, ASKED)
            assert first == b"ok"
            counts.append(len(opened))
        await asyncio.sleep(1.1)
        connections.sweep()
        await asyncio.sleep(0.05)
        await connections.exchange(port, ASKED)
        return [*counts, len(opened)]

    assert against(serve, work) == [1, 1, 1, 1, 1, 2]


def test_a_kept_connection_that_breaks_is_replaced_and_a_new_one_that_breaks_is_broken() -> None:
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await reader.read(1000)
        if count < 3:
            writer.write(OK)
            await reader.read(1000)  # the second request of this connection gets no answer
        writer.transport.abort()

    async def work(connections: Connections, port: int) -> int:
        await connections.exchange(port, ASKED)
        await connections.exchange(port, ASKED)  # over the kept one, which breaks: a new one
        with pytest.raises(BrokenOff):
            await connections.exchange(port, ASKED)  # the kept one breaks, and so does the new one
        return count

    assert against(serve, work) == 3


def test_nothing_for_too_long_is_silence() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        await reader.read(1000)
        writer.close()

    async def work(connections: Connections, port: int) -> None:
        with pytest.raises(Silent, match=r"nothing came for 0\.5 s"):
            await connections.exchange(port, ASKED)

    against(serve, work)


def test_a_port_where_nothing_listens_is_broken() -> None:
    async def work() -> None:
        with pytest.raises(BrokenOff, match=r"refused|Connect call failed"):
            await Connections(1.0).exchange(1, ASKED)

    asyncio.run(work())


def test_the_request_is_sent_as_it_was_received() -> None:
    request = Request("POST", "/a?b", [("Host", "x"), ("X-Odd", "\udcff")], b"body")
    assert request.encoded() == (
        b"POST /a?b HTTP/1.1\r\nHost: x\r\nX-Odd: \xff\r\nContent-Length: 4\r\n\r\nbody"
    )
    assert b"Content-Length" not in Request("GET", "/", [], b"").encoded()
    assert b"Content-Length: 0" in Request("POST", "/", [], b"").encoded()
