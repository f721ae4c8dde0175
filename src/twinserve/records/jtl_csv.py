"""JMeter logs as CSV: comma, semicolon, tab or bar; with a header line or without."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from twinserve.records.jtl_columns import HEADERLESS, NEEDED, match
from twinserve.records.jtl_row import JtlOptions, JtlRow, JtlSeen, refuse
from twinserve.records.jtl_times import Reader, epoch_ms, is_moment
from twinserve.records.jtl_values import READ, BadValue, row_reader

DELIMITERS = ",;\t|"
BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class CsvLayout:
    """How a file's rows are laid out."""

    encoding: str
    delimiter: str
    names: tuple[str, ...]  # of the header line; empty without one
    width: int  # columns
    places: tuple[int, ...]  # of READ; -1 where the file has none
    extra: tuple[int, ...]  # places of the extra columns
    columns: tuple[str, ...]  # JMeter's names of those it has
    example: str  # the first timeStamp
    first_line: int  # of the first row


def csv_layout(path: Path, options: JtlOptions) -> CsvLayout:
    """Find out the layout from the first two rows.

    Raises:
        RecordError: there is no row, or no timeStamp and elapsed among the columns.
    """
    encoding = _encoding(path)
    with _opened(path, encoding) as file:
        first_text = file.readline()
        file.seek(0)
        delimiter = _delimiter(first_text)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            first = next(reader, [])
            line = reader.line_num + 1
            second = next(reader, [])
        except csv.Error as error:
            raise refuse(path, reader.line_num, f"this is not CSV: {error}.") from None
    header = _is_header(first, options)
    names = tuple(name.strip() for name in first) if header else _names(path, first, options)
    found = match(names, options.renamed)
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise refuse(path, 1, _without(missing, names))
    row = second if header else first
    if not row:
        raise refuse(path, None, "it has a header line and no row; there is nothing to compare.")
    place = found["timeStamp"]
    return CsvLayout(
        encoding=encoding,
        delimiter=delimiter,
        names=tuple(first) if header else (),
        width=len(names),
        places=tuple(found.get(name, -1) for name in READ),
        extra=tuple(names.index(name) if name in names else -1 for name in options.extra),
        columns=tuple(found),
        example=row[place] if place < len(row) else "",
        first_line=line if header else 1,
    )


def csv_rows(path: Path, layout: CsvLayout, moment: Reader, seen: JtlSeen) -> Iterator[JtlRow]:
    """Every whole row, as it stands; a last one that a crash cut short is left out.

    Raises:
        RecordError: a row cannot be read.
    """
    read, pick = row_reader(moment), itemgetter(*layout.places)
    whole_end = _ends_a_line(path, layout.encoding)
    with _opened(path, layout.encoding) as file:
        reader = csv.reader(_counted(file, seen), delimiter=layout.delimiter, strict=True)
        header = list(layout.names)
        if header:
            next(reader)
        line = reader.line_num
        while True:
            begun, line = line + 1, line
            try:
                fields = next(reader)
                line = reader.line_num
                if not fields:
                    continue
                if fields == header:
                    seen.headers += 1
                    continue
                if len(fields) != layout.width:
                    raise BadRow(f"it has {len(fields)} columns; the first line has {layout.width}")
                fields.append("")  # what place -1 reads
                extra = tuple([fields[place] for place in layout.extra])
                row = read(pick(fields), extra)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end of data" in str(error):  # cut off inside quotes
                    seen.cut_off = True
                    return
                raise refuse(path, begun, _csv_fault(str(error))) from None
            except (BadRow, BadValue) as error:
                if not whole_end and _is_at_end(reader):
                    seen.cut_off = True
                    return
                raise refuse(path, begun, str(error)) from None
            yield row


def header_reader(
    path: Path, header: Sequence[str], extra: Sequence[str]
) -> Callable[[list[str]], JtlRow]:
    """How to read rows below a header line that JMeter wrote, times as epoch ms."""
    found = match(header, {})
    pick = itemgetter(*(found.get(name, -1) for name in READ))
    more = [list(header).index(name) if name in header else -1 for name in extra]
    read = row_reader(epoch_ms)

    def reader(fields: list[str]) -> JtlRow:
        try:
            padded = [*fields, ""]
            return read(pick(padded), tuple([padded[place] for place in more]))
        except (BadValue, IndexError) as error:
            raise refuse(path, None, str(error)) from None

    return reader


class BadRow(ValueError):
    """A row of another number of columns."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}. A delimiter or line end inside a value needs quotes around the value."
        )


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        return BOMS.get(file.read(2), "utf-8-sig")


def _opened(path: Path, encoding: str) -> TextIO:
    return path.open(encoding=encoding, errors="replace", newline="")


def _counted(file: TextIO, seen: JtlSeen) -> Iterator[str]:
    """The file's lines; those with a replaced byte are counted."""
    for line in file:
        if "\N{REPLACEMENT CHARACTER}" in line:
            seen.undecodable += 1
        yield line


def _delimiter(line: str) -> str:
    """The most frequent candidate outside quotes; the earlier one of two alike."""
    outside = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=outside.count)


def _is_header(fields: Sequence[str], options: JtlOptions) -> bool:
    """Whether the first line names columns: no moment is in it, or it has the needed names."""
    if all(name in match([f.strip() for f in fields], options.renamed) for name in NEEDED):
        return True
    return not options.columns and not any(is_moment(field) for field in fields)


def _names(path: Path, fields: Sequence[str], options: JtlOptions) -> tuple[str, ...]:
    """The columns of a file without header line: as told, or JMeter's own by their number."""
    if options.columns:
        if len(options.columns) != len(fields):
            raise refuse(
                path,
                1,
                f"it has {len(fields)} columns; {len(options.columns)} names were given for them.",
            )
        return options.columns
    names = HEADERLESS.get(len(fields), ())
    if not names or fields[names.index("success")].strip().lower() not in {"true", "false"}:
        raise refuse(
            path,
            1,
            f"it has {len(fields)} columns, no header line, and not JMeter's own order; name its "
            "columns in their order, e.g. timeStamp,elapsed,label,success.",
        )
    return names


def _without(missing: Sequence[str], names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:25])
    return (
        f"no column is known as {' or '.join(missing)} among {shown}. If one of them is, tell its "
        f"name, e.g. {missing[0]}={names[0][:40] if names else 'x'}."
    )


def _csv_fault(error: str) -> str:
    if "field larger" in error:
        return "a value has over 131,072 characters; a quote that was never closed may be why."
    return f"this is not CSV ({error}); a quote inside a value is written twice."


def _ends_a_line(path: Path, encoding: str) -> bool:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - 2, 0))
        tail = file.read(2)
    return (tail if encoding == "utf-16" else tail[-1:]).strip(b"\0") in {b"\n", b"\r"}


def _is_at_end(reader: Iterator[list[str]]) -> bool:
    try:
        return next(reader, None) is None
    except csv.Error:
        return False
