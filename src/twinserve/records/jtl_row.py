"""What one request of a JMeter log (JTL) says, and what a user may tell of a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from twinserve.errors import RecordError


class Stamps(StrEnum):
    """What ``timeStamp`` is: JMeter's ``sampleresult.timestamp.start`` sets it."""

    START = "start"
    END = "end"


class JtlRow(NamedTuple):  # a million of them are made in a row; a dataclass takes twice as long
    """One request; times in ms, ``at_ms`` since the epoch. None or "": the file does not say."""

    at_ms: float
    elapsed_ms: float
    label: str
    code: str
    message: str
    thread: str
    data_type: str
    success: bool | None
    failure: str
    received_bytes: int | None
    sent_bytes: int | None
    group_threads: int | None
    all_threads: int | None
    url: str
    latency_ms: float | None
    idle_ms: float | None
    connect_ms: float | None
    extra: tuple[str, ...] = ()  # values of the columns that :class:`JtlOptions` asks for

    @property
    def got_answer(self) -> bool:
        """False for a request that never got one (``Non HTTP response code: java.net...``)."""
        return not self.code.startswith("Non HTTP response code")

    @property
    def answered(self) -> bool:
        """Whether JMeter took it for a success; without its word, whether the status is one."""
        if self.success is not None:
            return self.success
        return self.code[:1] in ("2", "3") if self.code else True


@dataclass(frozen=True)
class JtlOptions:
    """What a user must tell of a file that does not tell it itself.

    ``columns`` are the names of a file without header line; ``renamed`` gives JMeter's name -> the
    name in the file; ``timestamp_format`` is JMeter's own setting (Java's letters), ``zone`` the
    assumed one of dates; ``stamps`` None means: found out. ``extra`` are further columns to keep.
    """

    columns: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    timestamp_format: str = ""
    zone: tzinfo = UTC
    stamps: Stamps | None = None
    extra: tuple[str, ...] = ()


@dataclass
class JtlSeen:
    """What was met and left out; whole once the rows have been read to their end."""

    nested: int = 0  # samples inside others
    summaries: int = 0  # rows that sum up rows that are there as well
    headers: int = 0  # header lines in mid-file: JMeter appended to an older log
    undecodable: int = 0  # lines with bytes that are not UTF-8
    cut_off: bool = False  # the last row is not whole


def refuse(path: Path, line: int | None, what: str) -> RecordError:
    """The one way in which a log is refused: file, line, what is there and what is allowed."""
    place = f", line {line}" if line else ""
    return RecordError(f"{path}{place}: {what}")
