"""The written locustfile, run by the real Locust: a master and two workers on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from twinserve.load.locust_file import write_locustfile
from twinserve.load.one_load import one_load
from twinserve.load.plan import draw_requests
from twinserve.records.jtl import open_jtl
from twinserve.records.jtl_joined import joined
from twinserve.records.jtl_row import JtlRow
from twinserve.workload import Ask, ClosedLoop, Workload
from twinserve.workload.profiles import profile

# Not imported here: Locust patches the standard library of the process that imports it.
pytestmark = pytest.mark.skipif(find_spec("locust") is None, reason="no Locust: pip install locust")
THINK_S = 0.05
WORKLOAD = one_load(
    msgspec.structs.replace(
        profile("quick"),
        arrivals=ClosedLoop(users=4, think_s=THINK_S),
        mix=(Ask(weight=2), Ask(images=3, format="png"), Ask(samples="s", bodies=('{"a":1}',))),
        blocks=2,
        block_s=1.0,
        warmup_s=1.0,
        seed=5,
    )
)


@dataclass
class Seen:
    """What the server was asked for."""

    requests: list[tuple[str, str, str]] = field(default_factory=list)  # body, accept, token
    connections: set[int] = field(default_factory=set)


@dataclass
class Ran:
    files: list[Path]
    rows: list[JtlRow]
    seen: Seen
    said: str


@pytest.fixture
def server() -> Iterator[tuple[str, Seen]]:
    """Every tenth request fails, one of them without an answer. Connections end without a word
    (no ``Connection: close``), so that a client that kept one would now and then find it dead."""
    seen, lock = Seen(), threading.Lock()

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            with lock:
                accept, token = self.headers.get("Accept", ""), self.headers["Authorization"]
                seen.requests.append((body, accept, token))
                seen.connections.add(self.client_address[1])
                number = len(seen.requests)
            self.close_connection = True
            if number == 10:
                return
            self.send_response(500 if number % 10 == 0 else 200)
            self.send_header("Set-Cookie", "pinned=1")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None: ...

    found = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}", seen
    found.shutdown()
    found.server_close()
    thread.join()


def run(folder: Path, url: str, seen: Seen, workload: Workload, workers: int) -> Ran:
    file = folder / "load.py"
    file.write_text(write_locustfile(url, "left & right", workload, with_token=True))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    locust = [sys.executable, "-m", "locust", "-f", str(file), "--headless"]
    master = ["--master", "--master-bind-port", port, "--expect-workers", str(workers)]
    words = [[*locust, *master]]
    words += [[*locust[:-1], "--worker", "--master-port", port]] * workers
    environment = os.environ | {"TWINSERVE_TOKEN": "t", "TWINSERVE_ROWS": str(folder)}
    processes = [
        subprocess.Popen(
            each, cwd=folder, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for each in words
    ]  # fmt: skip
    said = "".join(process.communicate(timeout=120)[0] for process in processes)
    files = sorted(folder.glob("rows-*.csv"))
    assert files, said
    return Ran(files, list(joined([open_jtl(each) for each in files]).rows()), seen, said)


def test_two_workers_send_the_workload_and_write_every_request_down(
    server: tuple[str, Seen], tmp_path: Path
) -> None:
    url, seen = server
    ran = run(tmp_path, url, seen, WORKLOAD, workers=2)
    assert len(ran.files) == 2, ran.said
    assert len(ran.rows) == len(seen.requests) == len(seen.connections)  # a connection each
    assert {token for _, _, token in seen.requests} == {"Bearer t"}

    labels = [row.label for row in ran.rows]
    assert set(labels) == {"left & right generate", "left & right warm-up"}
    began = {label: min(r.at_ms for r in ran.rows if r.label == label) for label in labels}
    assert began["left & right generate"] - began["left & right warm-up"] >= 900

    failed = [row for row in ran.rows if not row.answered]
    assert len(failed) == len(ran.rows) // 10
    assert [row.got_answer for row in failed].count(False) == 1
    assert {row.code for row in ran.rows if row.got_answer} == {"200", "500"}
    assert all(row.elapsed_ms >= (row.latency_ms or 0) - 1 for row in ran.rows)
    assert max(row.all_threads or 0 for row in ran.rows) == 4
    assert len(paused_ms(ran.rows)) == 4  # users
    for pauses in paused_ms(ran.rows).values():
        assert all(paused >= meant - 3 for paused, meant in pauses)


def paused_ms(rows: list[JtlRow]) -> dict[str, list[tuple[float, float]]]:
    """Of each user, how long it paused between two requests, and how long it should have."""
    before: dict[str, JtlRow] = {}
    found: dict[str, list[tuple[float, float]]] = {row.thread: [] for row in rows}
    for row in rows:
        if row.thread in before:
            last = before[row.thread]
            meant_ms = 1000 * THINK_S if last.answered else 100
            found[row.thread].append((row.at_ms - last.at_ms - last.elapsed_ms, meant_ms))
        before[row.thread] = row
    return found


def test_each_user_asks_for_what_our_own_users_ask_for(
    server: tuple[str, Seen], tmp_path: Path
) -> None:
    url, seen = server
    alone = msgspec.structs.replace(WORKLOAD, arrivals=ClosedLoop(users=1), warmup_s=0.0)
    run(tmp_path, url, seen, alone, workers=1)
    drawn = islice(draw_requests(alone.mix, alone.seed, 0, 0), len(seen.requests))
    for (body, accept, _), request in zip(seen.requests, drawn, strict=True):
        if request.body is not None:
            assert body.encode() == request.body
            continue
        assert json.loads(body) == {"num_images": request.images, "seed": request.seed}
        assert (accept == "image/png") == (request.format == "png")


def test_the_file_holds_no_token_and_is_python() -> None:
    text = write_locustfile("http://h", "a", WORKLOAD, with_token=True)
    assert "os.environ['TWINSERVE_TOKEN']" in text
    assert "Authorization" not in write_locustfile("http://h", "a", WORKLOAD)
    compile(text, "load.py", "exec")
