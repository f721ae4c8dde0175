"""What the local servers that speak a cloud's language share: faults on order, and how they run."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, TypeVar


@dataclass
class Fault:
    """What goes wrong with the next requests that match: a status, or a connection that is cut
    before (``lost``) or after (``unheard``) the server has done it."""

    method: str
    path: str
    what: int | str
    times: int = 1
    message: str = "said by the test"


class World(Protocol):
    """What a server holds."""

    url: str
    faults: list[Fault]


W = TypeVar("W", bound=World)


class FaultyHandler(BaseHTTPRequestHandler):
    """Answers in JSON; ``server.world`` is what it holds."""

    server: Any
    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def fault(self, path: str) -> Fault | None:
        """The fault that this request meets, which is then used up by one."""
        for fault in self.server.world.faults:
            if fault.times and fault.method == self.command and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    def send(self, status: int, value: Any) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing: what was asked is in ``asked``."""


@contextmanager
def serving_by(handler: type[BaseHTTPRequestHandler], world: W) -> Iterator[W]:
    """A server of ``world`` on a free port of 127.0.0.1."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.world = world  # type: ignore[attr-defined]
        server.daemon_threads = True
        world.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield world
        finally:
            server.shutdown()
            thread.join()
