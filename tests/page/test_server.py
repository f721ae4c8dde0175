"""The page's server before gateways that answer, misbehave or are dead."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from twinserve.deployment import CONTAINER, FUNCTION, Deployment, Kind, fair_defaults
from twinserve.errors import RuntimeFailure
from twinserve.page.files import page_files
from twinserve.page.server import BODY_LIMIT, PageSide, create_page, page_at

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = tuple[aiohttp.ClientResponse, bytes]
GENERATE = "/container/generate"


def test_a_side_that_answers_is_passed_through_with_every_timing_line() -> None:
    async def gateway(request: web.Request) -> web.Response:
        response = web.json_response({"path": request.path, "body": await request.json()})
        response.headers.add("Server-Timing", "process;dur=18.2, queue;dur=0.1")
        response.headers.add("Server-Timing", "queue;dur=2.0, cold;dur=1900.5")
        response.headers["X-Twinserve-Instance"] = "container-1"
        response.headers["Set-Cookie"] = "not=passed"
        return response

    async def scenario() -> Answer:
        async with page_before(gateway) as page:
            return await ask(page, "POST", GENERATE, json={"num_images": 2, "seed": 7})

    response, body = asyncio.run(scenario())
    assert response.status == 200
    assert body == b'{"path": "/generate", "body": {"num_images": 2, "seed": 7}}'
    assert response.headers.getall("Server-Timing") == [
        "process;dur=18.2, queue;dur=0.1",
        "queue;dur=2.0, cold;dur=1900.5",
    ]
    assert response.headers["X-Twinserve-Instance"] == "container-1"
    assert "Set-Cookie" not in response.headers


def test_models_and_status_are_asked_of_the_gateway() -> None:
    async def gateway(request: web.Request) -> web.Response:
        return web.json_response({"asked": request.path})

    async def scenario() -> list[bytes]:
        async with page_before(gateway) as page:
            return [(await ask(page, "GET", f"/container/{name}"))[1] for name in NAMES]

    assert asyncio.run(scenario()) == [b'{"asked": "/models"}', b'{"asked": "/_gateway/status"}']


NAMES = ("models", "status")


def test_a_problem_of_the_gateway_arrives_as_it_was() -> None:
    problem = {
        "type": "about:blank",
        "title": "Invalid field",
        "status": 422,
        "detail": "num_images",
    }

    async def gateway(_request: web.Request) -> web.Response:
        return web.json_response(problem, status=422, content_type="application/problem+json")

    response, body = answer_of(gateway)
    assert response.status == 422
    assert response.content_type == "application/problem+json"
    assert b'"title": "Invalid field"' in body


def test_an_answer_is_streamed_while_the_gateway_still_sends() -> None:
    first_half_arrived = asyncio.Event()

    async def gateway(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first ")
        await first_half_arrived.wait()  # never set if the page waited for the whole answer
        await response.write(b"second")
        return response

    async def scenario() -> bytes:
        async with (
            page_before(gateway) as page,
            aiohttp.ClientSession() as session,
            session.post(page + GENERATE) as response,
        ):
            first = await response.content.readany()
            first_half_arrived.set()
            return first + b"|" + await response.content.read()

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == b"first |second"


def test_a_dead_gateway_is_a_502_that_says_what_to_do() -> None:
    async def scenario() -> Answer:
        sides = {CONTAINER: container(f"http://127.0.0.1:{free_port()}")}
        async with page_at(sides, port=0) as url:
            return await ask(url.rstrip("/"), "POST", GENERATE)

    response, body = asyncio.run(scenario())
    assert_problem(response, 502)
    assert b"Connection refused" in body
    assert b"twinserve up" in body


def test_a_gateway_that_hangs_up_is_a_502() -> None:
    async def gateway(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    response, body = answer_of(gateway)
    assert_problem(response, 502)
    assert b"cannot be reached" in body


def test_a_silent_gateway_is_a_504() -> None:
    async def gateway(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    response, body = answer_of(gateway, answer_s=0.2)
    assert_problem(response, 504)
    assert b"said nothing for 0.2 s" in body


def test_an_answer_cut_off_by_the_gateway_is_cut_off_for_the_browser() -> None:
    async def gateway(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport
        request.transport.close()
        return response

    with pytest.raises(aiohttp.ClientPayloadError):
        answer_of(gateway)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit_never_reaches_the_gateway(declared: bool) -> None:
    reached = []

    async def gateway(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BODY_LIMIT // 1024 + 1):
            yield b" " * 1024

    async def scenario() -> tuple[int, str, int]:
        async with page_before(gateway) as page:
            data = b" " * (BODY_LIMIT + 1) if declared else chunks()
            refused, _ = await ask(page, "POST", GENERATE, data=data)
            allowed, _ = await ask(page, "POST", GENERATE, data=b" " * BODY_LIMIT)
            return refused.status, refused.content_type, allowed.status

    assert asyncio.run(scenario()) == (413, "application/problem+json", 200)
    assert reached == ["/generate"]


def test_pages_from_elsewhere_may_not_ask() -> None:
    reached = []

    async def gateway(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    async def scenario() -> list[int]:
        async with page_before(gateway) as page:
            origins = ["https://elsewhere.example", "null", page]
            answers = [await ask(page, "POST", GENERATE, headers={"Origin": o}) for o in origins]
            return [response.status for response, _ in answers]

    assert asyncio.run(scenario()) == [403, 403, 200]
    assert reached == ["/generate"]


@pytest.mark.parametrize(
    "path", ["/", "/static/page.js", "/sides", "/nothing", "/container/models"]
)
def test_every_answer_forbids_foreign_resources_and_sniffing(path: str) -> None:
    async def gateway(_request: web.Request) -> web.Response:
        return web.json_response({})

    async def scenario() -> Answer:
        async with page_before(gateway) as page:
            return await ask(page, "GET", path)

    response, _ = asyncio.run(scenario())
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_unknown_paths_and_wrong_methods_are_problems() -> None:
    async def scenario() -> list[Answer]:
        async with page_before(no_gateway) as page:
            return [
                await ask(page, "GET", "/generate"),
                await ask(page, "GET", "/nobody/models"),
                await ask(page, "GET", "/static/../server.py"),
                await ask(page, "GET", GENERATE),
            ]

    *unknown, wrong_method = asyncio.run(scenario())
    for response, body in unknown:
        assert_problem(response, 404)
        assert b"/container/generate" in body
    assert_problem(wrong_method[0], 405)
    assert wrong_method[0].headers["Allow"] == "POST"


def test_the_function_stands_on_the_left_and_no_gateway_address_is_shown() -> None:
    async def scenario() -> tuple[Answer, object]:
        sides = {
            name: PageSide.of(deployment, "http://127.0.0.1:9", ("random-16",))
            for name, deployment in fair_defaults("random-16").items()
        }
        async with page_at(sides, port=0) as url:
            answer = await ask(url.rstrip("/"), "GET", "/sides")
            return answer, await answer[0].json()

    (_, body), value = asyncio.run(scenario())
    assert isinstance(value, dict)
    left, right = value["sides"]
    assert (left["name"], left["title"], left["concurrency"]) == (FUNCTION, "From the function", 1)
    assert (right["name"], right["title"], right["concurrency"]) == (
        CONTAINER,
        "From the container",
        80,
    )
    assert right["note"] == "container (run as a process here)"
    assert b"127.0.0.1" not in body


def test_a_busy_port_is_named_with_the_way_out() -> None:
    async def scenario(port: int) -> None:
        async with page_at({CONTAINER: container("http://127.0.0.1:9")}, port=port):
            raise AssertionError("the port was taken")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeFailure, match=rf"port {port} .*--port"):
            asyncio.run(scenario(port))


def test_the_port_is_free_again_after_the_page() -> None:
    async def scenario() -> int:
        async with page_at({CONTAINER: container("http://127.0.0.1:9")}, port=0) as url:
            return int(url.rstrip("/").rpartition(":")[2])

    port = asyncio.run(scenario())
    with socket.socket() as again, pytest.raises(ConnectionRefusedError):
        again.connect(("127.0.0.1", port))


def test_every_file_that_the_page_names_is_served_and_nothing_is_foreign() -> None:
    files = page_files()
    named = set()
    for path, file in files.items():
        text = file.data.decode()
        foreign = set(re.findall(r"https?://[^\s\"']+", text)) - {"http://www.w3.org/2000/svg"}
        assert not foreign, path
        named |= set(re.findall(r"/static/[\w.]+", text))
        named |= {f"/static/{name}" for name in re.findall(r'from "\./([\w.]+)"', text)}
    assert named == files.keys() - {"/"}


def answer_of(gateway: Handler, answer_s: float = 30.0) -> Answer:
    async def scenario() -> Answer:
        async with page_before(gateway, answer_s) as page:
            return await ask(page, "POST", GENERATE, json={})

    return asyncio.run(scenario())


@asynccontextmanager
async def page_before(gateway: Handler, answer_s: float = 30.0) -> AsyncIterator[str]:
    """The page's URL, its one side being a container whose gateway is ``gateway``."""
    behind = web.Application(client_max_size=10 * BODY_LIMIT)
    behind.router.add_route("*", "/{path:.*}", gateway)
    async with (
        listening(behind) as url,
        listening(create_page({CONTAINER: container(url)}, answer_s)) as page,
    ):
        yield page


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def ask(page: str, method: str, path: str, **options: Any) -> Answer:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, page + path, **options) as response,
    ):
        return response, await response.read()


async def no_gateway(_request: web.Request) -> web.Response:
    raise AssertionError("the gateway must not be asked")


def assert_problem(response: aiohttp.ClientResponse, status: int) -> None:
    assert response.status == status
    assert response.content_type == "application/problem+json"


def container(url: str) -> PageSide:
    return PageSide.of(Deployment(CONTAINER, Kind.CONTAINER, "random-16"), url, ("random-16",))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
