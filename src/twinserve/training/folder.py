"""The folder of a training: one training at a time, room on its disk, files replaced whole."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinserve.errors import TrainingError, UsageError
from twinserve.training.checkpoint import writing

LOCK = "training.lock"
MIB = 1 << 20


@contextmanager
def only_training_in(folder: Path) -> Iterator[None]:
    """Make the folder and keep other trainings out of it.

    The kernel lets go of the lock when this process ends, however it ends.

    Raises:
        UsageError: another training is at work there.
        TrainingError: the folder cannot be made or written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UsageError(
                f"{folder} is in use by another training (process {file.read().strip()}); wait "
                "until it ends, or train in another folder."
            ) from None
        with writing(folder):
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        yield


@contextmanager
def taking_turns(path: Path) -> Iterator[None]:
    """Wait until no other process is between ``path``'s lock and its release."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_room(folder: Path, needed_bytes: int, what: str) -> None:
    """Refuse to begin what the disk of an existing ``folder`` has no room for.

    Raises:
        TrainingError: fewer bytes are free than are needed.
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise TrainingError(
            f"{what} needs {_mib(needed_bytes)} in {folder} and {_mib(free)} are free; make room "
            "or choose another folder."
        )


def _mib(size: int) -> str:
    return f"{-(-size // MIB):,} MiB"
