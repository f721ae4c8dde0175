"""Podman's service as a child of ours, for a machine where none listens."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinserve.errors import RuntimeFailure
from twinserve.runtime.process_ties import tied_to_parent
from twinserve.runtime.runner import PODMAN

LISTENS_WITHIN_S = 30.0
ENDS_WITHIN_S = 0.5
POLL_S = 0.05


@contextmanager
def podman_service() -> Iterator[PodmanService]:
    """A service that lives for as long as the ``with`` block lasts.

    Must be entered in the main thread: the service ends with the thread that started it.

    Raises:
        RuntimeFailure: Podman is not installed, or its service does not start.
    """
    if shutil.which(PODMAN) is None:
        raise RuntimeFailure("Podman is not installed; install it, or use --runner process.")
    with tempfile.TemporaryDirectory(prefix="twinserve-podman-") as folder:
        service = PodmanService(Path(folder))
        try:
            service.begin()
            yield service
        finally:
            service.end()


class PodmanService:
    """Answers at ``url``; ``life`` counts how often it was begun."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "podman.sock"
        self.url = f"unix://{self._socket}"
        self.life = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Start it and wait until it listens.

        Raises:
            RuntimeFailure: it does not; its own words are in the message.
        """
        self._socket.unlink(missing_ok=True)
        with (self._folder / "log").open("w+b") as log:
            self._process = subprocess.Popen(
                [PODMAN, "system", "service", "--time=0", self.url],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._folder,  # what watches a container leaves a file where it runs
                preexec_fn=tied_to_parent(os.getpid()),
            )
            self._until_it_listens(log.fileno())
        self.life += 1

    def revived(self, life: int) -> bool:
        """Whether a call that failed in that life may be tried again: it had died, and lives."""
        with self._lock:
            if self.life == life:
                if self._process is None or not _ends(self._process):
                    return False
                self.begin()
            return True

    def end(self) -> None:
        """End it; nobody revives it any more."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()

    def _until_it_listens(self, log: int) -> None:
        deadline = time.monotonic() + LISTENS_WITHIN_S
        while not self._socket.is_socket():
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                said = os.pread(log, 4096, 0).decode(errors="replace").strip()
                raise RuntimeFailure(f"Podman's service did not start: {said or 'it said nothing'}")
            time.sleep(POLL_S)


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended: its connections break a moment before that shows."""
    try:
        process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        return False
    return True
