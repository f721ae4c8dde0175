"""What a gateway passes on, and what it says when an instance misbehaves.

The gateway is the real one; the instance is a real process that can be told to misbehave.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from twinserve.deployment import CONTAINER, Deployment, Kind
from twinserve.records.events import EventKind, EventWriter, read_events
from twinserve.runtime import gateway as gateway_module
from twinserve.runtime import instances
from twinserve.runtime.gateway import BODY_LIMIT, Gateway
from twinserve.runtime.instances import InstanceLog, ProcessRunner

T = TypeVar("T")
Session = aiohttp.ClientSession
Work = Callable[[Session, Gateway], Awaitable[T]]


@pytest.fixture
def through_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Work[T]], T]:
    """Runs ``work(session, gateway)`` with the session's base at a gateway of odd instances."""
    odd = str(Path(__file__).with_name("odd_instance.py"))
    monkeypatch.setattr(
        instances, "instance_command", lambda _, port: [sys.executable, odd, str(port)]
    )

    async def run(work: Work[T]) -> T:
        async with opened(tmp_path) as (session, gateway):
            return await work(session, gateway)

    return lambda work: asyncio.run(run(work))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Session, Gateway]]:
    log, events = InstanceLog(None), EventWriter(folder / "instances.jsonl")
    gateway = Gateway(
        Deployment(CONTAINER, Kind.CONTAINER, "none", max_instances=1), ProcessRunner(log), events
    )
    url = await gateway.open()
    try:
        async with Session(url, timeout=aiohttp.ClientTimeout(60)) as session:
            yield session, gateway
    finally:
        await gateway.drain()
        events.close()
        log.close()


def test_method_path_headers_and_body_reach_the_instance_unchanged(
    through_gateway: Any,
) -> None:
    async def work(session: Session, _: Gateway) -> tuple[Any, Any]:
        headers = {
            "Connection": "X-Hop",
            "X-Hop": "not for the instance",
            "X-End": "for it",
            "Accept": "image/png",
        }
        path = "/a%2Fb/../c?x=1&y=%20"
        async with session.put(
            aiohttp.client.URL(f"{session._base_url}".rstrip("/") + path, encoded=True),
            data=b"12345",
            headers=headers,
        ) as answer:
            return await answer.json(content_type=None), answer.headers

    seen, headers = through_gateway(work)
    sent = dict(seen["headers"])
    assert (seen["method"], seen["path"]) == ("PUT", "/a%2Fb/../c?x=1&y=%20")
    assert seen["body_bytes"] == 5
    assert sent["X-End"] == "for it"
    assert sent["Accept"] == "image/png"
    assert "X-Hop" not in sent
    assert headers["X-Public"] == "for everyone"
    assert "X-Private" not in headers
    assert headers["X-Twinserve-Instance"] == "container-1"


def test_nothing_is_added_to_a_bare_request(through_gateway: Any) -> None:
    async def work(_: Session, gateway: Gateway) -> bytes:
        host, port = gateway._runner.addresses[0]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /bare HTTP/1.1\r\nHost: some.where\r\nConnection: close\r\n\r\n")
        text = await reader.read()
        writer.close()
        await writer.wait_closed()
        return text

    text = through_gateway(work)
    assert b'"headers": [["Host", "some.where"], ["Connection", "close"]]' in text


def test_a_head_request_gets_headers_only(through_gateway: Any) -> None:
    async def work(session: Session, _: Gateway) -> tuple[int, str, bytes]:
        async with session.head("/") as answer:
            return answer.status, answer.headers["Content-Length"], await answer.read()

    status, length, body = through_gateway(work)
    assert status == 200
    assert int(length) > 0
    assert body == b""


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_32_mib_is_refused_and_one_of_32_mib_is_not(
    through_gateway: Any, declared: bool
) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 2**20):
            yield b"x" * 2**20
        yield b"x" * (size % 2**20)

    async def send(session: Session, size: int) -> Any:
        data = BytesIO(b"x" * size) if declared else chunks(size)
        async with session.post("/", data=data) as answer:
            return answer.status, answer.content_type, await answer.json(content_type=None)

    async def work(session: Session, _: Gateway) -> list[Any]:
        return [await send(session, BODY_LIMIT), await send(session, BODY_LIMIT + 1)]

    (fits, _, seen), (status, media_type, problem) = through_gateway(work)
    assert fits == 200
    assert seen["body_bytes"] == BODY_LIMIT
    assert (status, media_type) == (413, "application/problem+json")
    assert "33,554,432" in problem["detail"]


def test_a_request_that_ends_two_instances_gets_a_502_that_names_the_second(
    through_gateway: Any, tmp_path: Path
) -> None:
    async def work(session: Session, _: Gateway) -> tuple[Any, int]:
        async with session.get("/die") as answer:
            problem = await answer.json(content_type=None)
            assert answer.content_type == "application/problem+json"
            assert answer.headers["X-Twinserve-Instance"] == "container-2"
        async with session.get("/") as after:
            return problem, after.status

    problem, after = through_gateway(work)
    assert (problem["status"], after) == (502, 200)
    assert "container-2" in problem["detail"]
    events = read_events(tmp_path / "instances.jsonl")
    killed = [event.instance for event in events if event.event is EventKind.KILLED]
    assert killed == ["container-1", "container-2"]


def test_half_an_answer_ends_in_a_broken_connection(through_gateway: Any) -> None:
    async def work(session: Session, _: Gateway) -> tuple[int, bool]:
        async with session.get("/half") as answer:
            with pytest.raises(aiohttp.ClientError):
                await answer.read()
        async with session.get("/") as after:
            return answer.status, after.status == 200

    assert through_gateway(work) == (200, True)


def test_an_instance_that_never_answers_costs_a_504(
    through_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "ANSWER_WITHIN_S", 0.5)

    async def work(session: Session, gateway: Gateway) -> tuple[int, Any, object]:
        async with session.get("/hang") as answer:
            problem = await answer.json(content_type=None)
        await asyncio.sleep(0)
        return answer.status, problem, gateway.status()["in_flight"]

    status, problem, in_flight = through_gateway(work)
    assert status == 504
    assert "container-1" in problem["detail"]
    assert in_flight == 0


def test_a_port_taken_in_between_is_replaced_by_another(
    through_gateway: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    free_port = instances.free_port

    async def work(session: Session, gateway: Gateway) -> int:
        _, taken = gateway._runner.addresses[0]
        ports = iter([taken, free_port()])
        monkeypatch.setattr(instances, "free_port", lambda: next(ports))
        async with session.get("/") as answer:
            return answer.status

    assert through_gateway(work) == 200
    events = read_events(tmp_path / "instances.jsonl")
    assert [event.event for event in events] == ["start", "ready", "stop"]
