"""An instance that does what a good one never does; started by tests with the port as argument."""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Odd(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/die":
            os._exit(9)
        if self.path == "/hang":
            time.sleep(60)
        if self.path.startswith("/until?"):
            while not Path(self.path.removeprefix("/until?")).exists():
                time.sleep(0.005)
        if self.path == "/close":  # after the answer, without a word about it
            self.close_connection = True
        if self.path == "/large":
            self.send_response(200)
            self.send_header("Content-Length", str(64 << 20))
            self.end_headers()
            self.wfile.write(b"x" * 1000)
            return
        if self.path.startswith("/chunked?"):
            self._in_chunks(int(self.path.removeprefix("/chunked?")))
            return
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

    def _in_chunks(self, count: int) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(count):
            piece = b"%d" % (number % 10) * 70_000
            self.wfile.write(b"%x;note=1\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\nX-Trailer: 1\r\n\r\n")

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


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Odd).serve_forever()
