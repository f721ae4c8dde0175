"""The page's own server: the page, its static files, and the way through to both gateways.

The browser speaks to this one origin only. What it asks of a side is handed to that side's gateway
and streamed back, so that no gateway needs to allow other origins.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from twinserve.deployment import Deployment, Kind
from twinserve.errors import (
    BodyTooLarge,
    MethodNotAllowed,
    NotFound,
    RuntimeFailure,
    TwinserveError,
)
from twinserve.page.files import PageFile, page_files

BODY_LIMIT = 64 * 1024
CONNECT_S = 5.0
ANSWER_S = 150.0  # a cold start and 64 large pictures on a slow core fit in
PASSED_BACK = ("Content-Type", "Content-Length", "Retry-After", "X-Twinserve-Instance")
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class PageSide:
    """One column of the page: where its gateway listens, and what to say about it."""

    url: str  # the gateway's, without a path
    kind: Kind
    title: str  # "From the function"
    note: str  # "function (run as a process here)"
    models: tuple[str, ...]  # the default first
    cpu: float
    concurrency: int
    idle_s: float

    @classmethod
    def of(
        cls, deployment: Deployment, url: str, models: Sequence[str], runner: str = "process"
    ) -> PageSide:
        """The column of a deployment that ``runner`` runs behind the gateway at ``url``, offering
        ``models`` by the names that it serves them under."""
        here = " (run as a process here)" if runner == "process" else f" (run by {runner})"
        return cls(
            url=url,
            kind=deployment.kind,
            title=f"From the {deployment.name}",
            note=f"{deployment.kind.value}{here}",
            models=tuple(models),
            cpu=deployment.cpu,
            concurrency=deployment.concurrency,
            idle_s=deployment.idle_s,
        )


@asynccontextmanager
async def page_at(
    sides: Mapping[str, PageSide], host: str = "127.0.0.1", port: int = 8080
) -> AsyncIterator[str]:
    """Serve the page for as long as the context lasts; gives its URL. Port 0 takes a free one.

    Raises:
        RuntimeFailure: the port is taken or may not be listened on.
    """
    runner = web.AppRunner(create_page(sides), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise RuntimeFailure(
                f"The page cannot listen on port {port} of {host} ({error.strerror}); "
                f"choose another with --port."
            ) from error
        yield f"http://{_in_url(host)}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def create_page(sides: Mapping[str, PageSide], answer_s: float = ANSWER_S) -> web.Application:
    """The application: ``/``, ``/static/…``, ``/sides`` and for each side the way to its gateway.

    Functions stand left of containers, else ``sides`` keeps its order. A gateway that says nothing
    for ``answer_s`` is given up with a 504, one that cannot be reached with a 502.
    """
    app = web.Application(middlewares=[_problems])
    app.on_response_prepare.append(_secure)
    app.cleanup_ctx.append(_client)
    columns = sorted(sides.items(), key=lambda item: item[1].kind is not Kind.FUNCTION)
    for name, side in columns:
        app.router.add_post(f"/{name}/generate", _forwarder(side, "/generate", answer_s))
        app.router.add_get(f"/{name}/models", _forwarder(side, "/models", answer_s))
        app.router.add_get(f"/{name}/status", _forwarder(side, "/_gateway/status", answer_s))
    app.router.add_get("/sides", _facts(columns))
    for path, file in page_files().items():
        app.router.add_get(path, _file(file))
    return app


CLIENT = web.AppKey("client", aiohttp.ClientSession)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _client(app: web.Application) -> AsyncIterator[None]:
    # No limit on connections: a queue in here would be counted as the gateway's time.
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        app[CLIENT] = session
        yield


def _forwarder(side: PageSide, path: str, answer_s: float) -> Handler:
    url = side.url.rstrip("/") + path
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=answer_s)

    async def forward(request: web.Request) -> web.StreamResponse:
        if not _same_origin(request):
            return _problem(403, "Foreign origin", "Only the page itself may ask this server.")
        body = await _read_body(request)
        headers = _sent_on(request)
        try:
            async with request.app[CLIENT].request(
                request.method, url, data=body, headers=headers, timeout=timeout
            ) as answer:
                return await _stream_back(request, answer)
        except aiohttp.ServerTimeoutError:
            return _problem(
                504,
                "The gateway does not answer",
                f"{side.url} said nothing for {answer_s:g} s; look at what twinserve up printed.",
            )
        except aiohttp.ClientError as error:
            return _problem(
                502,
                "The gateway cannot be reached",
                f"{side.url} is not answering ({_reason(error)}); start it with twinserve up.",
            )

    return forward


def _same_origin(request: web.Request) -> bool:
    """Browsers name the origin of every POST; a page from elsewhere must not spend this machine."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


async def _read_body(request: web.Request) -> bytes | None:
    if request.method != "POST":
        return None
    if (request.content_length or 0) > BODY_LIMIT:
        raise BodyTooLarge(request.content_length or 0, BODY_LIMIT)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise BodyTooLarge(len(body), BODY_LIMIT)
    return bytes(body)


def _sent_on(request: web.Request) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    for name in ("Content-Type", "Accept"):
        if name in request.headers:
            headers[name] = request.headers[name]
    return headers


async def _stream_back(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name in PASSED_BACK:
        if name in answer.headers:
            response.headers[name] = answer.headers[name]
    for timing in answer.headers.getall("Server-Timing", []):
        response.headers.add("Server-Timing", timing)
    response.headers["Cache-Control"] = "no-store"
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    except (aiohttp.ClientPayloadError, aiohttp.ServerTimeoutError):
        # The status has gone out: only a broken connection can still say that the answer is not
        # whole.
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def _reason(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number) if number else "no connection"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    return type(error).__name__


def _facts(columns: list[tuple[str, PageSide]]) -> Handler:
    facts = [_shown(name, side) for name, side in columns]

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"sides": facts}, headers={"Cache-Control": "no-store"})

    return answer


def _shown(name: str, side: PageSide) -> dict[str, Any]:
    facts = asdict(side)
    del facts["url"]
    return {"name": name, **facts}


def _file(file: PageFile) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(
            body=file.data,
            content_type=file.media_type,
            charset="utf-8",
            headers={"Cache-Control": "no-cache"},
        )

    return answer


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        error: TwinserveError = NotFound(request.path, _known_paths(request.app))
        return _problem(error.http_status, error.title, str(error))
    except web.HTTPMethodNotAllowed as wrong:
        allowed = sorted(wrong.allowed_methods)
        error = MethodNotAllowed(request.method, request.path, allowed)
        response = _problem(error.http_status, error.title, str(error))
        response.headers["Allow"] = ", ".join(allowed)
        return response
    except TwinserveError as known:
        return _problem(known.http_status, known.title, str(known))


def _known_paths(app: web.Application) -> list[str]:
    paths = {resource.canonical for resource in app.router.resources()}
    return sorted(path for path in paths if not path.startswith("/static/"))


def _problem(status: int, title: str, detail: str) -> web.Response:
    return web.json_response(
        {"type": "about:blank", "title": title, "status": status, "detail": detail},
        status=status,
        content_type="application/problem+json",
    )


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
