"""Which addresses a command and all its children connect to, as the kernel saw it (strace)."""

import os
import re
import shutil
from pathlib import Path

import pytest

CALLS = "connect,sendto,sendmsg,sendmmsg"
ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|AF_INET6, )"([^"]+)"')
LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.")


def prefix(log: Path, *, required: bool = True) -> list[str]:
    """Words to put before a command so that its connections are written to ``log``.

    Without strace the test is skipped, or goes on unwatched where it is not ``required``; in CI its
    absence is a fault.
    """
    if not shutil.which("strace"):
        assert not os.environ.get("CI"), "strace is missing; .ci/run installs it"
        if not required:
            return []
        pytest.skip("strace is not installed, so connections cannot be watched")
    return ["strace", "-f", "-qq", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o", str(log)]


def addresses(log: Path) -> set[tuple[str, int]]:
    """Every (address, port) that was connected or sent to; a name server's port is 53."""
    found = (ADDRESS.search(line) for line in log.read_text().splitlines())
    return {(match[2], int(match[1])) for match in found if match}


def assert_loopback_only(log: Path) -> None:
    """Nothing but this machine was spoken to, no name was looked up, and the log is a log."""
    assert log.stat().st_size > 0
    strange = {(host, port) for host, port in addresses(log) if not LOOPBACK.match(host)}
    assert not strange
    assert 53 not in {port for _, port in addresses(log)}
