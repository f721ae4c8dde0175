"""What is written down about one request, against a server whose times are known."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from twinserve.load.sender import Clock, Outcome, Sender, Target
from twinserve.records.samples import Phase

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD_DELAY_S, BODY_DELAY_S = 0.15, 0.25


async def asked(handler: Handler, times: int = 1) -> list[Outcome]:
    """Outcomes of requests to a server that reads each request, then does what ``handler`` does."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = Sender(Clock.start())
    async with server:
        target = Target("function", f"http://127.0.0.1:{port}", Phase.BLOCK, 3, 1, 4)
        return [await sender.send(target, images=2, seed=9) for _ in range(times)]


def answering(*parts: bytes, pauses_s: tuple[float, ...] = ()) -> Handler:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part, pause_s in zip(parts, (*pauses_s, *[0.0] * len(parts)), strict=False):
            await asyncio.sleep(pause_s)
            writer.write(part)
            await writer.drain()

    return handler


HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Twinserve-Instance: function-1\r\n"
    b"Server-Timing: process;dur=12.5, queue;dur=1.25, bad, inference;dur=x\r\n"
    b"Server-Timing: queue;dur=2, cold;dur=800\r\n\r\n"
)


def test_latency_ends_at_the_first_byte_and_elapsed_at_the_last() -> None:
    handler = answering(HEAD, b"body", pauses_s=(HEAD_DELAY_S, BODY_DELAY_S))
    (outcome,) = asyncio.run(asked(handler))
    sample = outcome.sample
    assert sample.success
    assert outcome.body == b"body"
    assert sample.connected_us is not None
    assert sample.first_byte_us is not None
    assert sample.sent_us <= sample.connected_us
    assert sample.first_byte_us - sample.connected_us >= HEAD_DELAY_S * 1e6 * 0.99
    assert sample.done_us - sample.first_byte_us >= BODY_DELAY_S * 1e6 * 0.9


def test_server_timing_is_read_and_entries_of_one_name_add_up() -> None:
    (outcome,) = asyncio.run(asked(answering(HEAD, b"body")))
    sample = outcome.sample
    assert (sample.process_ms, sample.queue_ms, sample.cold_ms) == (12.5, 3.25, 800)
    assert sample.instance_queue_ms == 1.25  # of 3.25: the rest is the gateway's
    assert sample.instance == "function-1"


def test_each_request_opens_a_connection_of_its_own() -> None:
    outcomes = asyncio.run(asked(answering(HEAD, b"body"), times=3))
    assert all(outcome.sample.connected_us is not None for outcome in outcomes)


def test_a_problem_is_written_down_in_its_own_words() -> None:
    body = b'{"title":"Too busy","detail":"The queue is full."}'
    head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: %d\r\n\r\n" % len(body)
    (outcome,) = asyncio.run(asked(answering(head, body)))
    assert not outcome.sample.success
    assert (outcome.sample.status, outcome.sample.failure) == (429, "The queue is full.")


@pytest.mark.parametrize(
    ("parts", "status"), [((), 0), ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",), 200)]
)
def test_a_broken_connection_is_a_failed_row(parts: tuple[bytes, ...], status: int) -> None:
    (outcome,) = asyncio.run(asked(answering(*parts)))
    assert outcome.sample.status == status
    assert outcome.sample.failure
    assert not outcome.sample.success


def test_a_refused_connection_is_a_failed_row_without_a_first_byte() -> None:
    async def refused() -> Outcome:
        sender = Sender(Clock.start())
        return await sender.send(Target("a", "http://127.0.0.1:1", Phase.BLOCK), 1, 1)

    sample = asyncio.run(refused()).sample
    assert sample.status == 0
    assert "127.0.0.1" in sample.failure
    assert (sample.connected_us, sample.first_byte_us) == (None, None)
    assert sample.done_us >= sample.sent_us
