"""An instance that does what a good one never does; started by tests with the port as argument."""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Odd(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/die":
            os._exit(9)
        if self.path == "/hang":
            time.sleep(60)
        if self.path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"x" * 1000)
            self.wfile.flush()
            time.sleep(0.3)  # so that the half is on its way to the client
            os._exit(9)
        self._echo(body)

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815 - http.server names them

    def _echo(self, body: bytes) -> None:
        seen = {"method": self.command, "path": self.path, "body_bytes": len(body)}
        answer = json.dumps({**seen, "headers": self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Connection", "X-Private")
        self.send_header("X-Private", "for the gateway only")
        self.send_header("X-Public", "for everyone")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """No log."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Odd).serve_forever()
