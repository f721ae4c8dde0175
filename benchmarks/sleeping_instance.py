"""An instance that works by sleeping, one request after the other; started with its port.

It takes its time to start as well. So its times are its own, and not those of a busy machine.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MEDIAN_S, SPREAD, START_S = 0.1, 0.2, (0.8, 1.0)
turn = threading.Lock()


class Sleeping(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        came_s = time.monotonic()
        with turn:
            began_s = time.monotonic()
            time.sleep(random.lognormvariate(0, SPREAD) * MEDIAN_S)
        done_s = time.monotonic()
        self._answer(
            f"process;dur={1000 * (done_s - came_s):.3f}, queue;dur={1000 * (began_s - came_s):.3f}"
        )

    def do_GET(self) -> None:
        self._answer("")

    def _answer(self, timing: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2000")
        if timing:
            self.send_header("Server-Timing", timing)
        self.end_headers()
        self.wfile.write(b"x" * 2000)

    def log_message(self, *_: object) -> None:
        """No log."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    time.sleep(random.uniform(*START_S))  # noqa: S311 - no secret
    Server(("127.0.0.1", int(sys.argv[1])), Sleeping).serve_forever()
