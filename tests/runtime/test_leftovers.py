"""What a crashed run left behind is ended at the next start; what is not ours is not touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from twinserve.runtime.leftovers import format_leftovers, remove_processes
from twinserve.runtime.owner import VARIABLE, Owner

WAITING = [sys.executable, "-c", "input()"]


@pytest.fixture
def waiting() -> Iterator[Any]:
    """``waiting(label)`` starts a process that carries that owner's label, or none."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(label: str | None) -> subprocess.Popen[bytes]:
        environment = dict(os.environ) | ({VARIABLE: label} if label is not None else {})
        process = subprocess.Popen(WAITING, stdin=subprocess.PIPE, env=environment)
        started.append(process)
        return process

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def dead_owner() -> Owner:
    process = subprocess.Popen(WAITING, stdin=subprocess.PIPE)
    owner = Owner(Owner.this().machine, process.pid, psutil.Process(process.pid).create_time())
    process.communicate(b"\n")
    return owner


def test_only_processes_of_a_dead_owner_are_ended(waiting: Any) -> None:
    dead = dead_owner()
    left = waiting(dead.label)
    kept = [
        waiting(None),
        waiting("not one of our labels"),
        waiting(Owner.this().label),
        waiting(Owner("another machine", dead.pid, dead.created_s).label),
    ]
    assert remove_processes() == 1
    assert not psutil.pid_exists(left.pid)
    assert [process.poll() for process in kept] == [None] * 4


def test_a_number_used_again_is_another_owner() -> None:
    here = Owner.this()
    assert not here.is_gone
    assert Owner(here.machine, here.pid, here.created_s - 60).is_gone


def test_a_label_tells_its_owner_and_nonsense_tells_none() -> None:
    here = Owner.this()
    read = Owner.parse(here.label)
    assert read is not None
    assert (read.machine, read.pid) == (here.machine, here.pid)
    assert not read.is_gone
    assert Owner.parse("") is None
    assert Owner.parse("a/b/c") is None
    assert Owner.parse("no slashes") is None


@pytest.mark.parametrize(
    ("processes", "containers", "said"),
    [
        (0, 0, []),
        (1, 0, ["Removed what a crashed run had left behind: 1 process."]),
        (2, 1, ["Removed what a crashed run had left behind: 2 processes and 1 container."]),
    ],
)
def test_what_was_removed_is_said(processes: int, containers: int, said: list[str]) -> None:
    assert format_leftovers(processes, containers) == said
