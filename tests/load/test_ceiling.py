"""The most that the sender reaches, against a real null server in a process of its own."""

import asyncio
import sys

import pytest

from twinserve.load import ceiling
from twinserve.load.null_server import NullAnswer, null_answer
from twinserve.load.sender import Clock, Outcome, Sender, Target
from twinserve.records.host import Ceiling
from twinserve.records.samples import Phase


def measured(users: int, answer_bytes: int, seconds: float = 0.3) -> Ceiling | None:
    async def measure() -> Ceiling | None:
        sender = Sender(Clock.start())
        return await ceiling.measure_ceiling(sender, users, answer_bytes, seconds)

    return asyncio.run(measure())


@pytest.mark.parametrize(("users", "answer_bytes"), [(1, 0), (40, 300_000)])
def test_the_sender_reaches_more_than_a_service_would_ask_for(
    users: int, answer_bytes: int
) -> None:
    found = measured(users, answer_bytes)
    assert found is not None
    assert found.requests_per_s > 20
    assert found.users == max(users, ceiling.LEAST_USERS)
    assert found.answer_bytes == answer_bytes


def test_larger_answers_cost_the_sender_more() -> None:
    small, large = measured(16, 100), measured(16, 2_000_000)
    assert small is not None
    assert large is not None
    assert large.requests_per_s < small.requests_per_s


def test_without_a_server_there_is_no_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert measured(1, 100) is None


@pytest.mark.parametrize("size", [0, 1, 2, 100_000])
def test_the_null_server_answers_every_request_with_so_many_bytes(size: int) -> None:
    async def asked() -> list[Outcome]:
        loop = asyncio.get_running_loop()
        answer = null_answer(size)
        server = await loop.create_server(lambda: NullAnswer(answer), "127.0.0.1", 0)
        sender = Sender(Clock.start())
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            target = Target("null", url, Phase.WARMUP)
            return [await sender.send(target, 1, seed) for seed in range(3)]

    for outcome in asyncio.run(asked()):
        assert outcome.sample.success
        assert len(outcome.body) == size


def test_requests_on_one_connection_are_told_apart_however_they_arrive() -> None:
    """Two requests, cut into single bytes."""
    written: list[bytes] = []

    class Transport(asyncio.WriteTransport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            written.append(bytes(data))

        def close(self) -> None:
            written.append(b"closed")

    server = NullAnswer(b"answer")
    server.connection_made(Transport())
    first = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    last = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    for byte in first + last:
        server.data_received(bytes([byte]))
    assert written == [b"answer", b"answer", b"closed"]
