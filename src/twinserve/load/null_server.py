"""A server that does nothing but answer, in a process of its own: what a load generator is
measured against.

``python -m twinserve.load.null_server BYTES`` prints its port and answers every request with so
many bytes until its standard input ends.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class NullAnswer(asyncio.Protocol):
    """Answers each request as soon as its last byte is there, and closes where asked to."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no asyncio class

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while (end := self._end()) and len(self._seen) >= end:
            request, self._seen = self._seen[:end], self._seen[end:]
            self._transport.write(self._answer)
            if b"onnection: close" in request:
                self._transport.close()

    def _end(self) -> int:
        """Where the first request ends; 0 while its head is not there."""
        head = self._seen.find(b"\r\n\r\n") + 4
        if head < 4:
            return 0
        found = LENGTH.search(self._seen, 0, head)
        return head + (int(found[1]) if found else 0)


def null_answer(body_bytes: int) -> bytes:
    """A 200 whose body has so many bytes, a JSON string where there is room for its quotes."""
    body = b'"' + b"A" * (body_bytes - 2) + b'"' if body_bytes >= 2 else b" " * body_bytes
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body_bytes}"
    return head.encode() + b"\r\n\r\n" + body


async def serve(body_bytes: int) -> None:
    """Serve on a free port of the loopback, which is printed, until standard input ends."""
    answer = null_answer(body_bytes)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: NullAnswer(answer), "127.0.0.1", 0, backlog=1024)
    async with server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
