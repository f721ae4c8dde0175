"""The image under the contract of the platforms: another ``PORT``, a read-only root, nobody's user,
and SIGTERM with a request under way (skipped with a reason where no engine works)."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from twinserve.runtime.commands import image_command

GIVE_UP_S = 120.0  # no assertion: only so that a broken image does not hang the tests
PORT = 9090  # another than the image's own
GRACE_S = 10


@pytest.fixture(params=["container", "function"])
def running(request: Any, container_image: Any, podman: Any) -> Iterator[tuple[str, int]]:
    """The image started as a platform starts it: its name, and the port here."""
    name = f"twinserve-contract-{os.getpid()}-{request.param}"
    limits = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
    limits += ["--cpus", "1", "--memory", "1g", "--user", "65532"]
    command = image_command(request.param) if request.param == "function" else []
    where = ["--env", f"PORT={PORT}", "--publish", f"127.0.0.1::{PORT}"]
    podman("run", "--detach", "--name", name, *limits, *where, container_image.tag, *command)
    try:
        yield name, int(podman("port", name, str(PORT)).strip().rpartition(":")[2])
    finally:
        podman("rm", "--force", "--time", "0", name)


def test_the_image_keeps_the_contract(running: tuple[str, int], podman: Any) -> None:
    name, port = running
    until_ready(port)
    answers: list[int] = []
    # The largest request that there is, so that it is still being answered when SIGTERM comes.
    asking = threading.Thread(target=lambda: answers.append(ask(port, 64)))
    asking.start()
    time.sleep(0.1)
    podman("stop", "--time", str(GRACE_S), name)  # SIGTERM, and after the grace SIGKILL
    asking.join(GIVE_UP_S)
    assert answers == [200]  # what was under way is answered
    state = json.loads(podman("inspect", name))[0]
    assert state["State"]["ExitCode"] in (0, 143)  # it ended by itself: SIGKILL would be 137
    assert state["HostConfig"]["ReadonlyRootfs"] is True
    assert state["Config"]["User"] == "65532"
    assert state["State"]["OOMKilled"] is False


def until_ready(port: int) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        assert time.monotonic() < deadline, "never ready"
        time.sleep(0.1)


def ask(port: int, images: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GIVE_UP_S)
    try:
        body = json.dumps({"num_images": images, "seed": 1, "layout": "list"})
        connection.request("POST", "/generate", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
