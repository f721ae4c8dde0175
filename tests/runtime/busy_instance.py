"""An instance that burns CPU or memory when it is told to; run in a container by tests.

It uses the standard library alone, so that its source can be handed to ``python -c``.
"""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = bytes(1 << 20)
kept = []


def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hashlib.sha256(BLOCK)  # lets the other threads run meanwhile


class Busy(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/burn":
            threads = [threading.Thread(target=burn, args=(3,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if self.path == "/eat":
            while True:
                kept.append(bytearray(b"x" * (16 << 20)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """No log."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Busy).serve_forever()
