"""Nothing is lost: every scenario of ``make chaos``, on plain processes and on real containers.

Without Podman its rows are skipped; see ``tests/containers.py``.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from twinserve.runtime.runner import PODMAN, RunnerChoice

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
USERS = 50
SILENCE_S = 60.0
SCENARIOS = (
    "kill",
    "out-of-memory",
    "hang",
    "slow-client",
    "disconnect",
    "restart",
    "socket-gone",
    "disk-full",
)


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def row_of(scenario: str, folder: Path, choice: RunnerChoice, model: str) -> Any:
    """The row of one scenario."""
    scenarios, place = import_module("chaos_scenarios"), import_module("chaos_place")
    assert tuple(scenarios.SCENARIOS) == SCENARIOS
    here = place.Place(folder, choice, model)
    return asyncio.run(scenarios.play(scenarios.SCENARIOS[scenario], here, USERS, SILENCE_S))


def check(row: Any) -> None:
    """The promise holds, and the fault was seen; as root, as in CI, nothing is skipped."""
    if row.skipped and os.geteuid():
        pytest.skip(row.skipped)
    assert not row.skipped
    assert row.problems == ()
    assert row.seen
    assert row.account.sent == row.account.outcomes.total() > USERS
    assert row.account.outcomes["lost"] == 0
    assert row.account.outcomes["answered"] >= 60


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != "socket-gone"])
def test_nothing_is_lost_on_processes(scenario: str, tmp_path: Path) -> None:
    model = import_module("chaos").model_of_side(64)
    check(row_of(scenario, tmp_path, RunnerChoice(), model))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_is_lost_in_containers(scenario: str, tmp_path: Path, container_image: Any) -> None:
    choice = RunnerChoice(PODMAN, {"container": container_image.tag})
    check(row_of(scenario, tmp_path, choice, container_image.model))


def test_processes_have_no_socket_and_their_row_says_so(tmp_path: Path) -> None:
    row = row_of("socket-gone", tmp_path, RunnerChoice(), "random-16")
    assert row.skipped == "plain processes have no engine and no socket"


# The account itself: what it would count as lost


@contextmanager
def server(answer: bytes, *, closes: bool) -> Iterator[str]:
    """Says the same to everyone, whatever is asked, and then ends the connection or does not."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                client.recv(65536)
                client.sendall(answer)
                (client.close if closes else lambda held_one=client: held.append(held_one))()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for client in held:
        client.close()


PROBLEM = b'{"detail": "why"}'


def http(status: bytes, body: bytes, *headers: bytes) -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 " + status, length, *headers, b"", body])


@pytest.mark.parametrize(
    ("answer", "closes", "outcome", "why"),
    [
        (b"", False, "lost", "silence for 0.5 s"),
        (http(b"200 OK", b"picture")[:-3], False, "lost", "silence for 0.5 s"),
        (http(b"200 OK", b"picture"), True, "answered", ""),
        (http(b"200 OK", b"picture")[:-3], True, "cut off", "half an answer"),
        (b"", True, "cut off", "connection broken"),
        (http(b"500 Oh", b"oh"), True, "lost", "500 without a reason"),
        (
            http(b"503 No", PROBLEM, b"Content-Type: application/problem+json"),
            True,
            "lost",
            "503 without a reason",
        ),
        (
            http(
                b"503 No",
                PROBLEM,
                b"Content-Type: application/problem+json",
                b"Retry-After: 1",
            ),
            True,
            "refused",
            "503",
        ),
    ],
    ids=["silence", "half", "whole", "cut", "closed", "bare error", "never again", "later"],
)
def test_what_a_user_makes_of_an_answer(
    answer: bytes, closes: bool, outcome: str, why: str
) -> None:
    async def ask(url: str) -> Any:
        users = import_module("chaos_users").Users(url, silence_s=0.5)
        await users.ask()
        return users.plain

    with server(answer, closes=closes) as url:
        account = asyncio.run(ask(url))
    assert dict(account.outcomes) == {outcome: 1}
    assert dict(account.why) == ({why: 1} if why else {})


def test_another_picture_for_the_same_seed_is_a_loss() -> None:
    async def ask(users: Any, url: str) -> None:
        users._port = int(url.rpartition(":")[2])
        await users.ask()

    users_module = import_module("chaos_users")
    users_module.SEEDS, before = 1, users_module.SEEDS
    try:
        users = users_module.Users("http://127.0.0.1:1")
        for body in (b"one", b"one", b"other"):
            with server(http(b"200 OK", body), closes=True) as url:
                asyncio.run(ask(users, url))
    finally:
        users_module.SEEDS = before
    assert dict(users.plain.outcomes) == {"answered": 2, "lost": 1}
    assert dict(users.plain.why) == {"a wrong picture": 1}


def test_the_command_ends_with_1_when_something_was_lost() -> None:
    chaos, scenarios = import_module("chaos"), import_module("chaos_scenarios")
    users = import_module("chaos_users")
    account = users.Account(sent=2)
    account.note(users.Outcome.ANSWERED)
    account.note(users.Outcome.LOST, "silence for 60 s")
    held = scenarios.Row("kill", "process", users.Account(), seen="something")
    lost = scenarios.Row("kill", "process", account, "something", problems=("1 lost",))
    skipped = scenarios.Row("kill", "podman", skipped="not installed")
    assert chaos.verdict([held, skipped]) == 0
    assert chaos.verdict([held, lost]) == 1
    assert chaos.verdict([skipped]) == 1
    text = "\n".join(chaos.lines(lost))
    assert "1 x silence for 60 s" in text
    assert "PROBLEM: 1 lost" in text


def test_the_command_says_what_it_wants_to_be_told() -> None:
    words = [sys.executable, str(BENCHMARKS / "chaos.py"), "--users", "3"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--users is 3; it must be at least 20" in done.stderr
