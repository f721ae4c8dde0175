"""Apache JMeter's logs (JTL): CSV or XML in, one :class:`JtlRow` a request out.

What is read, besides the files that JMeter 5 writes by default: semicolons, tabs or bars between
the columns, no header line, other column names, missing columns, dates instead of epoch
milliseconds, messages over several lines, nested samples (the outermost counts), byte order marks,
and files that were cut off mid-row. A file is read as a stream, whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from twinserve.errors import RecordError
from twinserve.records.jtl_columns import NEEDED, ORDER
from twinserve.records.jtl_csv import csv_layout, csv_rows
from twinserve.records.jtl_row import JtlOptions, JtlRow, JtlSeen, Stamps, refuse
from twinserve.records.jtl_times import ALLOWED, Reader, reader_for
from twinserve.records.jtl_xml import xml_columns, xml_rows

SUMMARY = "Number of samples in transaction"  # how JMeter's TransactionController begins
LOOKED_AT = 100_000  # rows from which the meaning of timeStamp is told
MOST_THREADS = 50_000  # remembered at a time: some plans give every request a thread of its own
SLACK_MS = 2.0  # what rounding to milliseconds may make two rows of a thread overlap


@dataclass(frozen=True)
class Jtl:
    """One opened log; ``rows()`` reads it from its beginning each time."""

    path: Path
    format: str  # "CSV" or "XML"
    columns: tuple[str, ...]  # by JMeter's names; those that the file has
    assumed_zone: bool  # times are dates without a zone of their own
    stamps: Stamps
    stamps_told: bool  # by the rows or the user; else JMeter's usual setting is assumed
    begin_ms: float  # epoch; when the first request began, of those at the file's beginning
    _rows: Callable[[JtlSeen], Iterator[JtlRow]]
    others: tuple[Path, ...] = ()  # further files, of other machines of the same load

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path, *self.others)

    @property
    def name(self) -> str:
        """The files' names, without their folders."""
        return ", ".join(path.name for path in self.paths)

    def rows(self, seen: JtlSeen | None = None) -> Iterator[JtlRow]:
        """Every request, outermost samples only; ``seen`` counts what is left out.

        Raises:
            RecordError: a row cannot be read; it names file, line, value and what is allowed.
        """
        seen = seen or JtlSeen()
        return _without_summaries(self._rows(seen), seen, self.stamps)


def open_jtl(path: Path, options: JtlOptions | None = None) -> Jtl:
    """Open a log: find out its format, its columns and what its time stamps mean.

    Raises:
        RecordError: it is missing, empty, or not a JMeter log.
    """
    options = options or JtlOptions()
    is_xml = _is_xml(path)
    if is_xml:
        columns, example = xml_columns(path)
        _check_columns(path, columns)
        moment = _moments(path, 1, example, options)

        def rows(seen: JtlSeen) -> Iterator[JtlRow]:
            return xml_rows(path, moment, options.extra, seen)
    else:
        layout = csv_layout(path, options)
        columns, example = layout.columns, layout.example
        moment = _moments(path, layout.first_line, example, options)

        def rows(seen: JtlSeen) -> Iterator[JtlRow]:
            return csv_rows(path, layout, moment, seen)

    found, begins = _look(islice(rows(JtlSeen()), LOOKED_AT))
    told = options.stamps or found
    stamps = told or Stamps.START
    return Jtl(
        path=path,
        format="XML" if is_xml else "CSV",
        columns=tuple(name for name in ORDER if name in columns),
        assumed_zone=not example.strip().replace(".", "").isdigit(),
        stamps=stamps,
        stamps_told=told is not None,
        begin_ms=begins[stamps],
        _rows=rows,
    )


def _is_xml(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise RecordError(f"{path} is missing; name a JMeter log (JTL).") from None
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}.") from error
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if not text:
        raise RecordError(f"{path} is empty; a JMeter log has a row a request.")
    return text.startswith(b"<")


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise refuse(path, None, f"its samples have no {' and no '.join(missing)}.")


def _moments(path: Path, line: int, example: str, options: JtlOptions) -> Reader:
    """How this file's moments are read, tried on its first one."""
    try:
        moment = reader_for(example, options.timestamp_format, options.zone)
    except ValueError as error:
        raise RecordError(
            f"The timestamp format {options.timestamp_format!r} cannot be used ({error}); it is "
            f"made of yyyy, MM, dd, HH, mm, ss and SSS, e.g. 'dd.MM.yyyy HH:mm:ss'."
        ) from None
    try:
        moment(example)
    except ValueError:
        raise refuse(path, line, f"timeStamp is {example!r}; allowed are {ALLOWED}.") from None
    return moment


def began_ms(row: JtlRow, stamps: Stamps) -> float:
    """When a request began, in ms since the epoch."""
    return row.at_ms - row.elapsed_ms if stamps is Stamps.END else row.at_ms


def _look(rows: Iterable[JtlRow]) -> tuple[Stamps | None, dict[Stamps, float]]:
    """What timeStamp is, and when the first request began under either reading.

    One thread's requests cannot overlap. None where neither reading makes more of them overlap than
    the other one.
    """
    last: dict[str, JtlRow] = {}
    overlaps = {Stamps.START: 0, Stamps.END: 0}
    begins = dict.fromkeys(Stamps, float("inf"))
    for row in rows:
        for stamps in Stamps:
            begins[stamps] = min(begins[stamps], began_ms(row, stamps))
        before = last.pop(row.thread, None)
        if before and row.thread and row.at_ms >= before.at_ms:
            gap_ms = row.at_ms - before.at_ms + SLACK_MS
            overlaps[Stamps.START] += before.elapsed_ms > gap_ms
            overlaps[Stamps.END] += row.elapsed_ms > gap_ms
        last[row.thread] = row
        if len(last) > MOST_THREADS:
            del last[next(iter(last))]
    fewest, most = sorted(overlaps, key=lambda stamps: overlaps[stamps])
    return (fewest if overlaps[fewest] < overlaps[most] else None), begins


def _without_summaries(rows: Iterator[JtlRow], seen: JtlSeen, stamps: Stamps) -> Iterator[JtlRow]:
    """Leave out what a Transaction Controller wrote about requests that have rows of their own.

    Its row follows theirs in the same thread. With "generate parent sample" theirs are not there
    (CSV) or inside it (XML): then it is the outermost sample and stays.
    """
    began: dict[str, float] = {}
    for row in rows:
        start_ms = began_ms(row, stamps)
        before = began.pop(row.thread, None)
        if row.message.startswith(SUMMARY):
            idle_ms = (row.idle_ms or 0) * (stamps is Stamps.END)
            if before is not None and before >= start_ms - idle_ms:
                seen.summaries += 1
                began[row.thread] = before
                continue
        began[row.thread] = start_ms
        if len(began) > MOST_THREADS:
            del began[next(iter(began))]
        yield row
