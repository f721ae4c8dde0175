"""What a gateway passes on, and what it says when an instance misbehaves.

The gateway is the real one; the instance is a real process that can be told to misbehave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from msgspec.structs import replace

from twinserve.records.events import EventKind, read_events
from twinserve.runtime import gateway as gateway_module
from twinserve.runtime import inbound, instances
from twinserve.runtime.gateway import BODY_LIMIT, Gateway
from twinserve.runtime.patience import Patience
from twinserve.scaling.policy import policy_named

T = TypeVar("T")
Session = aiohttp.ClientSession
Work = Callable[[Session, Gateway], Awaitable[T]]


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
    assert b'"headers": [["Host", "some.where"]]' in text


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
    through_gateway: Any,
) -> None:

    async def work(session: Session, gateway: Gateway) -> tuple[int, Any, object]:
        async with session.get("/hang") as answer:
            problem = await answer.json(content_type=None)
        await asyncio.sleep(0)
        return answer.status, problem, gateway.status()["in_flight"]

    status, problem, in_flight = through_gateway(work, patience=Patience(answer_s=0.5))
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


async def until(look: Callable[[], Any]) -> None:
    while not look():
        await asyncio.sleep(0.01)


async def ask(session: Session, path: str, **headers: str) -> tuple[int, Any, Any]:
    """Status, headers and what the body says."""
    async with session.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()}) as a:
        return a.status, a.headers, await a.json(content_type=None)


def test_a_deadline_that_passes_in_the_queue_takes_the_request_out(
    through_gateway: Any, tmp_path: Path
) -> None:
    async def work(session: Session, gateway: Gateway) -> Any:
        held = asyncio.create_task(ask(session, f"/until?{tmp_path / 'go'}"))
        await until(lambda: gateway.status()["in_flight"])
        late = await ask(session, "/", Prefer="respond-async, wait=0.2")
        queued = gateway.status()["queued"]
        (tmp_path / "go").touch()
        return await held, late, queued, gateway.status()["requests"]

    held, (status, _, problem), queued, requests = through_gateway(work, concurrency=1)
    assert (held[0], status, queued) == (200, 504, 0)
    assert "0.2 s at most" in problem["detail"]
    assert "had not left the queue" in problem["detail"]
    assert requests["refusals"] == {"deadline passed": 1}


def test_a_deadline_that_passes_at_work_keeps_the_place_until_the_answer(
    through_gateway: Any, tmp_path: Path
) -> None:
    async def work(session: Session, gateway: Gateway) -> Any:
        await ask(session, "/")
        late = await ask(session, f"/until?{tmp_path / 'go'}", Prefer="wait=0.2")
        at_work = gateway.status()["in_flight"]
        (tmp_path / "go").touch()
        await until(lambda: not gateway.status()["in_flight"])
        return late, at_work

    (status, headers, problem), at_work = through_gateway(work, concurrency=1)
    assert (status, at_work) == (504, 1)
    assert headers["X-Twinserve-Instance"] == "container-1"
    assert "container-1 had not answered it" in problem["detail"]


@pytest.mark.parametrize("prefer", ["wait=soon", "respond-async", "awaiting=1", "wait=5"])
def test_a_deadline_that_is_none_or_far_changes_nothing(through_gateway: Any, prefer: str) -> None:
    async def work(session: Session, _: Gateway) -> int:
        return (await ask(session, "/", Prefer=prefer))[0]

    assert through_gateway(work) == 200


def test_no_more_wait_than_the_queue_holds(
    through_gateway: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = policy_named("cloud-run")
    short = replace(policy, queue_most=replace(policy.queue_most, value=2))
    monkeypatch.setattr(gateway_module, "policy_named", lambda _: short)

    async def work(session: Session, gateway: Gateway) -> Any:
        path = f"/until?{tmp_path / 'go'}"
        await ask(session, "/")  # an instance is there
        waiting = [asyncio.create_task(ask(session, path)) for _ in range(3)]
        await until(lambda: gateway.status()["queued"] == 2)
        refused = await ask(session, "/")
        (tmp_path / "go").touch()
        return await asyncio.gather(*waiting), refused

    waiting, (status, headers, problem) = through_gateway(work, concurrency=1)
    assert [answer[0] for answer in waiting] == [200] * 3
    assert (status, headers["Retry-After"]) == (429, "1")
    assert "2 requests waiting, the most it may" in problem["detail"]


def test_bodies_that_take_too_much_memory_together_are_refused(
    through_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "HELD_LIMIT", 1000)

    async def work(session: Session, _: Gateway) -> Any:
        async with session.post("/", data=BytesIO(b"x" * 1001)) as refused:
            headers, problem = refused.headers, await refused.json(content_type=None)
        async with session.post("/", data=BytesIO(b"x" * 999)) as answer:
            return refused.status, headers["Retry-After"], problem["detail"], answer.status

    status, again_s, detail, after = through_gateway(work)
    assert (status, again_s, after) == (429, "1", 200)
    assert "bodies of" in detail


def test_a_body_that_does_not_come_costs_no_place(
    through_gateway: Any,
) -> None:

    async def work(_: Session, gateway: Gateway) -> bytes:
        host, port = gateway._runner.addresses[0]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        text = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert not gateway.status()["instances"]
        return text

    text = through_gateway(work, patience=Patience(request_s=0.3))
    assert text.startswith(b"HTTP/1.1 408 ")
    assert b"was not there within 0.3 s" in text


def test_half_a_head_is_not_waited_for_forever(through_gateway: Any) -> None:
    async def work(_: Session, gateway: Gateway) -> bytes:
        reader, writer = await asyncio.open_connection(*gateway._runner.addresses[0])
        writer.write(b"GET / HTTP/1.1\r\nHo")
        text = await reader.read()
        writer.close()
        await writer.wait_closed()
        return text

    assert through_gateway(work, patience=Patience(request_s=0.3)) == b""


def test_a_tick_that_fails_is_not_the_last_one(
    through_gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(session: Session, gateway: Gateway) -> Any:
        said: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: said.append(str(what)))
        with monkeypatch.context() as broken:
            broken.setattr(gateway._fleet, "shrink", lambda: 1 / 0)
            await until(lambda: said)
        ready = asyncio.create_task(ask(session, "/"))
        return said[0], (await ready)[0]

    said, status = through_gateway(work)
    assert "a tick failed" in said
    assert "ZeroDivisionError" in said
    assert status == 200


def test_an_instance_that_hangs_is_replaced(through_gateway: Any, tmp_path: Path) -> None:

    async def work(session: Session, _: Gateway) -> Any:
        hung = await ask(session, "/hang")
        return hung[0], await ask(session, "/")

    soon = Patience(answer_s=0.5)
    hung, (after, headers, _) = through_gateway(work, patience=soon, concurrency=1)
    assert (hung, after, headers["X-Twinserve-Instance"]) == (504, 200, "container-2")
    events = read_events(tmp_path / "instances.jsonl")
    [stop] = [e for e in events if e.instance == "container-1" and e.event is EventKind.STOP]
    assert "nothing came from it" in stop.detail


def test_one_slow_answer_among_others_replaces_nothing(
    through_gateway: Any,
) -> None:

    async def work(session: Session, gateway: Gateway) -> Any:
        await ask(session, "/")
        hung = asyncio.create_task(ask(session, "/hang"))
        await until(lambda: gateway.status()["in_flight"])
        await ask(session, "/")
        return (await hung)[0], (await ask(session, "/"))[1]["X-Twinserve-Instance"]

    found = through_gateway(work, patience=Patience(answer_s=0.5), concurrency=5)
    assert found == (504, "container-1")


def test_an_answer_larger_than_the_platform_lets_through_is_a_clear_error(
    through_gateway: Any,
) -> None:
    async def work(session: Session, _: Gateway) -> Any:
        large = await ask(session, "/large")
        return large, (await ask(session, "/"))[0]

    (status, _, problem), after = through_gateway(work)
    assert (status, after) == (500, 200)
    assert "67,108,864 bytes; cloud-run lets at most 33,554,432 through" in problem["detail"]


def test_an_answer_in_chunks_passes_through_whole(through_gateway: Any) -> None:
    async def work(session: Session, _: Gateway) -> bytes:
        async with session.get("/chunked?20") as answer:
            return await answer.read()

    whole = b"".join(b"%d" % (number % 10) * 70_000 for number in range(20))
    assert through_gateway(work) == whole


def test_a_connection_that_the_instance_closed_is_no_failure(through_gateway: Any) -> None:
    async def work(session: Session, gateway: Gateway) -> Any:
        statuses = []
        for _ in range(20):
            statuses.append((await ask(session, "/close"))[0])
            statuses.append((await ask(session, "/"))[0])
        return statuses, gateway.status()["requests"]["retried"]

    assert through_gateway(work) == ([200] * 40, 0)


def test_the_gateways_metrics_tell_requests_instances_and_the_bill(through_gateway: Any) -> None:
    async def work(session: Session, gateway: Gateway) -> tuple[str, int]:
        async with session.get("/metrics") as idle:
            assert 'requests_total{deployment="container"} 0.0' in await idle.text()
        assert not gateway.status()["instances"]  # it starts nothing and is counted nowhere
        await ask(session, "/")
        await ask(session, "/die")
        async with session.get("/metrics") as answer:
            assert answer.content_type == "text/plain"
            return await answer.text(), gateway.status()["requests"]["here"]

    text, here = through_gateway(work, concurrency=1, memory_mib=2048)
    found = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }
    own = 'deployment="container"'
    prefix = "twinserve_gateway"
    assert here == 0
    assert found[f"{prefix}_requests_total{{{own}}}"] == 2
    assert found[f'{prefix}_answers_total{{{own},status="200"}}'] == 1
    assert found[f'{prefix}_refusals_total{{{own},reason="instance lost"}}'] == 1
    assert found[f"{prefix}_retries_total{{{own}}}"] == 1
    assert found[f"{prefix}_billed_requests_total{{{own}}}"] == 2
    assert found[f"{prefix}_egress_bytes_total{{{own}}}"] > 50
    billed = {
        mode: found[f'{prefix}_billable_instance_seconds_total{{{own},mode="{mode}"}}']
        for mode in ("request", "instance", "first-gen")
    }
    assert billed["instance"] > billed["request"] - 0.2
    assert billed["request"] > 0
    assert billed["first-gen"] > 0
    ghz = found[f'{prefix}_billed_ghz_seconds_total{{{own},mode="first-gen"}}']
    assert ghz == pytest.approx(2.4 * billed["first-gen"])
    gib = found[f'{prefix}_billed_gib_seconds_total{{{own},mode="request"}}']
    assert gib == pytest.approx(2 * billed["request"])


def test_a_draining_gateway_says_when_to_come_again(through_gateway: Any, tmp_path: Path) -> None:
    async def work(session: Session, gateway: Gateway) -> Any:
        held = asyncio.create_task(ask(session, f"/until?{tmp_path / 'go'}"))
        await until(lambda: gateway.status()["in_flight"])
        gateway._draining = True  # as drain() begins
        refused = await ask(session, "/readyz")
        (tmp_path / "go").touch()
        return (await held)[0], refused

    status, (refused, headers, problem) = through_gateway(work)
    assert (status, refused) == (200, 503)
    assert headers["Retry-After"] == "10"
    assert "being stopped" in problem["detail"]
