"""An instance that burns CPU or memory when it is told to; run in a container by tests.

It uses the standard library alone, so that its source can be handed to ``python -c``.
"""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BLOCK = bytes(1 << 20)
kept = []


def burn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hashlib.sha256(BLOCK)  # lets the other threads run meanwhile


def quota():
    """The CPUs that its control group allows, as it sees it from inside; version 1 or 2."""
    new = Path("/sys/fs/cgroup/cpu.max")
    old = Path("/sys/fs/cgroup/cpu")
    if new.exists():
        quota_us, period_us = new.read_text().split()
    else:
        quota_us = (old / "cpu.cfs_quota_us").read_text()
        period_us = (old / "cpu.cfs_period_us").read_text()
    return int(quota_us) / int(period_us)


class Busy(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/burn":
            threads = [threading.Thread(target=burn, args=(3,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if self.path == "/eat":
            while True:
                kept.append(bytearray(b"x" * (16 << 20)))
        answer = json.dumps(quota()).encode() if self.path == "/quota" else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """No log."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8080), Busy).serve_forever()
