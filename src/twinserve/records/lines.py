"""Files that survive a crash: appended a whole line at a time, or replaced as a whole."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from twinserve.errors import RecordError


class CsvWriter:
    """Appends rows, each one flushed to the file at once; a new file gets its header line.

    ``header`` is that line where it is not just the columns' names.
    """

    def __init__(self, path: Path, columns: Iterable[str], header: str | None = None) -> None:
        self.columns = tuple(columns)
        new = not path.exists() or path.stat().st_size == 0
        self._file = path.open("a", encoding="utf-8", newline="")
        if new and header is None:
            self.write(self.columns)
        elif new:
            self._file.write(f"{header}\n")
            self._file.flush()

    def write(self, values: Iterable[object]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(_flat(value) for value in values)
        self._file.write(line.getvalue())
        self._file.flush()

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
    part.write_bytes(data)
    os.replace(part, path)


def _flat(value: object) -> object:
    """Booleans as JMeter writes them; no line ends inside a value, so that a line is a row."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return " ".join(value.splitlines())
    return "" if value is None else value
