"""A registry on loopback: as much of the OCI distribution protocol as a push needs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class RegistryServer:
    """``login`` is (user, password), or nobody needs one."""

    login: tuple[str, str] | None = None
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    host: str = ""

    def takes(self, header: str) -> bool:
        if self.login is None:
            return True
        wanted = base64.b64encode(":".join(self.login).encode()).decode()
        return header == f"Basic {wanted}"


class _Handler(BaseHTTPRequestHandler):
    server: Any
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        registry: RegistryServer = self.server.registry
        body = self._body()
        if not registry.takes(self.headers.get("Authorization", "")):
            return self._send(401, {"WWW-Authenticate": 'Basic realm="test"'})
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/v2/":
            return self._send(200)
        if found := re.fullmatch(r"/v2/.+/blobs/(sha256:\w+)", path):
            there = registry.blobs.get(found[1])
            return self._send(404) if there is None else self._send(200, {}, there)
        if re.fullmatch(r"/v2/.+/blobs/uploads/\w*", path):
            return self._upload(registry, path, query, body)
        found = re.fullmatch(r"/v2/(.+)/manifests/(.+)", path)
        assert found, path
        name = f"{found[1]}:{found[2]}"
        if self.command == "PUT":
            registry.manifests[name] = body
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            return self._send(201, {"Docker-Content-Digest": digest})
        return self._send(200 if name in registry.manifests else 404)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = _do  # noqa: N815 - as http.server asks

    def _upload(self, registry: RegistryServer, path: str, query: Any, body: bytes) -> None:
        place = path if path.rpartition("/")[2] else f"{path}{len(registry.blobs)}u"
        kept = registry.blobs.setdefault(place, b"") + body
        if self.command == "PUT":
            del registry.blobs[place]
            registry.blobs[query["digest"][0]] = kept
            return self._send(201)
        registry.blobs[place] = kept
        return self._send(202, {"Location": place, "Range": f"0-{max(0, len(kept) - 1)}"})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def layers(registry: RegistryServer, name: str) -> list[str]:
    """The digests of an image's layers, each of which is there."""
    found = [each["digest"] for each in json.loads(registry.manifests[name])["layers"]]
    assert all(digest in registry.blobs for digest in found)
    return found


@contextmanager
def serving(registry: RegistryServer) -> Iterator[RegistryServer]:
    """The registry on a free port of 127.0.0.1."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.registry = registry  # type: ignore[attr-defined]
        server.daemon_threads = True
        registry.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
