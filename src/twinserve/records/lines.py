"""Files that survive a crash: appended a whole line at a time, or replaced as a whole."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from twinserve.errors import RecordError


class LineFile:
    """A file that grows by whole lines, each one handed to the system at once.

    A disk that fills up in the middle of a line leaves the file as it was before that line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)

    def append(self, data: bytes) -> None:
        """Write ``data``, which ends with a line end.

        Raises:
            OSError: it did not fit, and none of it was written.
        """
        before = self._file.seek(0, os.SEEK_END)
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            with suppress(OSError):
                self._file.truncate(before)
            raise

    def close(self) -> None:
        self._file.close()


class CsvWriter:
    """Appends rows, each one flushed to the file at once; a new file gets its header line.

    ``header`` is that line where it is not just the columns' names.
    """

    def __init__(self, path: Path, columns: Iterable[str], header: str | None = None) -> None:
        self.columns = tuple(columns)
        new = not path.exists() or path.stat().st_size == 0
        self._file = LineFile(path)
        if new and header is None:
            self.write(self.columns)
        elif new:
            self._file.append(f"{header}\n".encode())

    def write(self, values: Iterable[object]) -> None:
        """Append one row.

        Raises:
            OSError: it cannot be written; the file then ends with the row before.
        """
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(_flat(value) for value in values)
        self._file.append(line.getvalue().encode())

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()


def not_written(folder: Path, error: OSError) -> RecordError:
    """What to tell the user when a run cannot be written down any more, usually a full disk."""
    return RecordError(
        f"{folder} cannot be written any more ({error.strerror or error}). What was measured until "
        f"then is in it: make room, then see it with: twinserve report {folder}"
    )


def whole_lines(path: Path) -> bytes:
    """The file's bytes up to its last line end: a line that a crash cut short is left out.

    Raises:
        RecordError: the file is missing or holds not even a header line.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise RecordError(f"{path} is missing; is {path.parent} a run directory?") from None
    end = data.rfind(b"\n") + 1
    if not end:
        raise RecordError(f"{path} has no whole line; the run was cut off before it began.")
    return data[:end]


def replace_file(path: Path, data: bytes) -> None:
    """Write beside ``path``, then rename: a reader finds the old file or the new one."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError:
        with suppress(OSError):
            part.unlink()  # half a file on a full disk is in the way
        raise


def _flat(value: object) -> object:
    """Booleans as JMeter writes them; no line ends inside a value, so that a line is a row."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return " ".join(value.splitlines())
    return "" if value is None else value
