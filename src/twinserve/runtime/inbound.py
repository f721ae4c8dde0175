"""What a gateway reads of a client's request before it passes it on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from twinserve.errors import BodyTooLarge
from twinserve.runtime.refusals import QueueFull, SlowBody
from twinserve.runtime.upstream import Request

STATUS_PATH = "/_gateway/status"
MIB = 1024 * 1024
HELD_LIMIT = 512 * MIB  # of all bodies that are here at a time
WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d+(?:\.\d+)?)\"?\s*(?:[,;]|$)", re.IGNORECASE)
# RFC 9110 section 7.6.1; Content-Length and Expect are settled with each side anew.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class Inbound:
    """Reads requests of up to ``limit_bytes`` each, as long as all of them together fit, and each
    is there within ``within_s``."""

    def __init__(self, deployment: str, limit_bytes: int, within_s: float) -> None:
        self._deployment = deployment
        self._limit_bytes = limit_bytes
        self._within_s = within_s
        self._held_bytes = 0

    @asynccontextmanager
    async def received(self, request: web.BaseRequest) -> AsyncIterator[Request]:
        """The request with its whole body, since it may have to be sent twice; it counts as held
        until the ``with`` block ends.

        Raises:
            BodyTooLarge: its body is larger than allowed.
            QueueFull: all bodies together take too much memory.
            SlowBody: it took too long to come.
        """
        body = bytearray()
        try:
            await self._read(request, body)
            raw = request.raw_path
            path = raw if raw.startswith("/") else request.rel_url.raw_path_qs
            headers = end_to_end(request.headers.items())
            kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
            yield Request(request.method, path, kept, bytes(body))
        finally:
            self._held_bytes -= len(body)

    async def _read(self, request: web.BaseRequest, body: bytearray) -> None:
        declared = request.content_length or 0
        if declared > self._limit_bytes:
            raise BodyTooLarge(declared, self._limit_bytes)
        try:
            async with asyncio.timeout(self._within_s):
                while chunk := await request.content.readany():
                    body += chunk
                    self._held_bytes += len(chunk)
                    self._check(len(body))
        except TimeoutError:
            raise SlowBody(self._within_s) from None

    def _check(self, length: int) -> None:
        if length > self._limit_bytes:
            raise BodyTooLarge(length, self._limit_bytes)
        if self._held_bytes > HELD_LIMIT:
            raise QueueFull(self._deployment, f"bodies of {HELD_LIMIT // MIB:,} MiB in all")


def waits_at_most(request: web.BaseRequest) -> float | None:
    """Seconds that the client waits for an answer to begin (RFC 7240: ``Prefer: wait=10``)."""
    for line in request.headers.getall("Prefer", ()):
        if found := WAIT.search(line):
            return float(found[1])
    return None


def end_to_end(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neither the standard hop-by-hop headers nor those that Connection names."""
    given = list(headers)
    named = {
        name.strip().lower()
        for key, line in given
        if key.lower() == "connection"
        for name in line.split(",")
    }
    dropped = HOP_BY_HOP | named
    return [(name, value) for name, value in given if name.lower() not in dropped]
