"""What an interrupted evaluation had finished, on disk: numbers by name, and rows of arrays."""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twinserve.errors import UsageError
from twinserve.training.checkpoint import writing

NUMBERS, LOCK = "numbers.json", "lock"


class Numbers:
    """JSON values by name, written as soon as they are known."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NUMBERS
        self._values: dict[str, Any] = _read(self._path)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: object) -> None:
        self._values[name] = value
        part = self._path.with_suffix(".part")
        with writing(self._path):
            part.write_text(json.dumps(self._values))
            os.replace(part, self._path)


class Rows:
    """``count`` rows of one shape in a file that grows as they are made.

    Rows follow each other and are written whole, so the file's size tells how many there are.
    """

    def __init__(self, path: Path, count: int, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.path, self.count, self.shape, self.dtype = path, count, shape, np.dtype(dtype)
        self._row_bytes = math.prod(shape) * self.dtype.itemsize

    @property
    def made(self) -> int:
        size = self.path.stat().st_size if self.path.exists() else 0
        return min(self.count, size // self._row_bytes)

    def fill(
        self,
        make: Callable[[range], NDArray[Any]],
        at_a_time: int,
        on_done: Callable[[float], None],
    ) -> None:
        """Append what is missing, a few rows at a time; ``on_done(share)`` of what was missing.

        Raises:
            TrainingError: the file cannot be written.
        """
        begun = self.made
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("ab")
        with file:
            file.truncate(begun * self._row_bytes)  # of a row cut short
            for begin in range(begun, self.count, at_a_time):
                rows = make(range(begin, min(self.count, begin + at_a_time)))
                with writing(self.path):
                    file.write(np.ascontiguousarray(rows, self.dtype).data)
                    file.flush()
                on_done((begin + len(rows) - begun) / (self.count - begun))

    def read(self) -> NDArray[Any]:
        """All rows, mapped into memory."""
        return np.memmap(self.path, self.dtype, "r", shape=(self.count, *self.shape))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder and keep other processes out of it.

    Raises:
        UsageError: another process does the same work there.
        TrainingError: the folder cannot be made or written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"Another process evaluates with the same pictures in {folder}; wait until it ends."
            ) from None
        yield


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
