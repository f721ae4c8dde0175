"""``run.json`` of two JMeter logs: what they say, what was assumed, and what nobody knows.

Such a run directory has no deployments, no model, no machine and no blocks: none was told, so none
is written down.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

import msgspec

from twinserve.errors import RecordError
from twinserve.records.jtl import Jtl, began_ms
from twinserve.records.jtl_row import JtlRow, JtlSeen, Stamps
from twinserve.records.lines import replace_file
from twinserve.records.manifest import SCHEMA_VERSION
from twinserve.records.samples import HEADER, OUR_COLUMNS, Phase

MOST_LABELS = 20
MOST_COUNTED = 200_000  # different thread names; from there on it is "at least so many"
TELL_EVERY = 20_000
UNKNOWN = (
    "deployments",
    "model",
    "hardware",
    "equality of the answers",
    "blocks",
    "warm-up",
    "cold starts",
    "CPU and memory",
    "load of the load generator",
)


class Intended(msgspec.Struct, frozen=True):
    """The load that the logs' authors meant, as the user tells it; None: not told."""

    users: int | None = None
    think_s: float = 0.0
    rate_rps: float | None = None


class LogFile(msgspec.Struct, frozen=True):
    """One side's log, and what was found in it."""

    file: str  # its name, without the folder; of several machines' files all names
    sha256: str  # of all bytes, one file after the other
    format: str
    columns: tuple[str, ...]  # JMeter's names of those it has
    rows: int  # that were taken
    first_epoch_ms: float  # when the first request began
    last_epoch_ms: float  # when the last one was over
    stamps: Stamps
    labels: dict[str, int]  # the most frequent ones
    threads: int  # different names; 0 where the log names none
    active_threads: float | None  # mean of allThreads, JMeter's own count
    mean_bytes: float | None  # of answered requests
    codes: dict[str, int]  # response codes of failed requests
    notes: tuple[str, ...]  # what was left out
    assumed: tuple[str, ...]  # what was taken for granted


class LogsManifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about two imported logs that is not a row."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["logs"] = "logs"
    started_epoch_ms: float  # when the earlier log's first request began
    versions: dict[str, str]
    logs: dict[str, LogFile]
    allowance: float  # for what may have shifted between the two occasions; 0.15 is 15 %
    intended: Intended = Intended()
    warmup_s: float = 0.0  # dropped from the beginning of each log
    timezone: str = "UTC"  # assumed for dates that name none
    unknown: tuple[str, ...] = UNKNOWN

    @property
    def sides(self) -> tuple[str, str]:
        first, second = self.logs
        return first, second

    @property
    def overlap_s(self) -> float:
        """How long both logs went on at the same time; 0 where one followed the other."""
        logs = self.logs.values()
        end_ms = min(log.last_epoch_ms for log in logs)
        return max(0.0, end_ms - max(log.first_epoch_ms for log in logs)) / 1000


def is_logs(path: Path) -> bool:
    """Whether a ``run.json`` is one of two logs; False too where it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kind).kind == "logs"
    except (OSError, msgspec.DecodeError):
        return False


def read_logs(path: Path) -> LogsManifest:
    """Read the ``run.json`` of two logs.

    Raises:
        RecordError: it is damaged, or of a newer schema than this version knows.
    """
    data = path.read_bytes()
    try:
        schema = msgspec.json.decode(data, type=_Kind).schema_version
        if schema > SCHEMA_VERSION:
            raise RecordError(
                f"{path} has schema {schema}, this version reads up to {SCHEMA_VERSION}; "
                f"upgrade twinserve."
            )
        return msgspec.json.decode(data, type=LogsManifest)
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is damaged: {error}.") from error


def write_logs(path: Path, manifest: LogsManifest) -> None:
    """Write the ``run.json`` of two logs; a reader finds the old one or the new one."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def import_samples(
    path: Path,
    logs: Mapping[str, Jtl],
    *,
    labels: frozenset[str] = frozenset(),
    warmup_s: float = 0.0,
    on_rows: Callable[[str, int], None] | None = None,
) -> tuple[float, dict[str, LogFile]]:
    """Write the rows of both logs (side -> log) to a ``samples.csv``, a row at a time.

    Of each log only requests with one of ``labels`` (all, where it is empty) that began at least
    ``warmup_s`` after its first one. Returns when the run began (epoch ms, the earlier log's first
    request) and what was found. A half-written file never stands under the name.

    Raises:
        RecordError: a log cannot be read, or holds none of these requests.
    """
    started_ms = min(log.begin_ms for log in logs.values())
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as out:
            out.write(f"{HEADER}\n")
            files = {
                side: _write_log(out, side, log, started_ms, labels, warmup_s, on_rows)
                for side, log in logs.items()
            }
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return started_ms, files


def _write_log(
    out: TextIO,
    side: str,
    log: Jtl,
    started_ms: float,
    labels: frozenset[str],
    warmup_s: float,
    on_rows: Callable[[str, int], None] | None,
) -> LogFile:
    found = _Found()
    from_ms = log.begin_ms + 1000 * warmup_s if warmup_s else 0.0
    lines = _lines(side, _taken(log, found, labels, from_ms), found, started_ms)
    csv.writer(out, lineterminator="\n").writerows(_told(side, lines, on_rows))
    return _log_file(log, found, labels, warmup_s)


class _Kind(msgspec.Struct):
    kind: str = "run"
    schema_version: int = 0


@dataclass
class _Found:
    """What a pass over one log counts."""

    seen: JtlSeen = field(default_factory=JtlSeen)
    rows: int = 0
    first_ms: float = float("inf")
    last_ms: float = float("-inf")
    labels: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)  # labels that were not asked for
    threads: dict[str, int] = field(default_factory=dict)  # name -> its number
    active: int = 0
    active_rows: int = 0
    received: int = 0
    received_rows: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    early: int = 0  # within the warm-up


def _taken(
    log: Jtl, found: _Found, labels: frozenset[str], from_ms: float
) -> Iterator[tuple[float, JtlRow]]:
    """The rows that count, with the epoch ms at which they began."""
    for row in log.rows(found.seen):
        if labels and row.label not in labels:
            _count(found.skipped, row.label)
            continue
        start_ms = began_ms(row, log.stamps)
        if start_ms < from_ms:
            found.early += 1
            continue
        found.rows += 1
        found.first_ms = min(found.first_ms, start_ms)
        found.last_ms = max(found.last_ms, start_ms + row.elapsed_ms)
        _note_row(found, row)
        yield start_ms, row


def _note_row(found: _Found, row: JtlRow) -> None:
    _count(found.labels, row.label)
    if row.all_threads is not None:
        found.active += row.all_threads
        found.active_rows += 1
    if not row.answered:
        _count(found.codes, row.code or row.failure[:80] or "no reason given")
    elif row.received_bytes is not None:
        found.received += row.received_bytes
        found.received_rows += 1
    if row.thread and row.thread not in found.threads and len(found.threads) < MOST_COUNTED:
        found.threads[row.thread] = len(found.threads)


def _count(counts: dict[str, int], key: str) -> None:
    if key in counts or len(counts) < 10 * MOST_LABELS:
        counts[key] = counts.get(key, 0) + 1


def _lines(
    side: str,
    rows: Iterable[tuple[float, JtlRow]],
    found: _Found,
    started_ms: float,
) -> Iterator[tuple[object, ...]]:
    """Rows of ``samples.csv``: JMeter's columns as they were, ours as far as the log tells them."""
    blank = dict.fromkeys(OUR_COLUMNS, "") | {"side": side, "phase": Phase.LOG.value, "block": -1}
    for start_ms, row in rows:
        sent_us = round(1000 * (start_ms - started_ms))
        first_ms = row.latency_ms if row.got_answer else None
        ours = blank | {
            "user": found.threads.get(row.thread, ""),
            "sent_us": sent_us,
            "done_us": sent_us + round(1000 * row.elapsed_ms),
            "connected_us": "" if row.connect_ms is None else sent_us + round(1e3 * row.connect_ms),
            "first_byte_us": "" if first_ms is None else sent_us + round(1000 * first_ms),
        }
        yield (*_jmeter(row, round(start_ms)), *ours.values())


def _jmeter(row: JtlRow, start_ms: int) -> tuple[object, ...]:
    """JMeter's own columns; a message stays on one line, so that a line is a row."""
    return (
        start_ms,
        round(row.elapsed_ms),
        _flat(row.label),
        _flat(row.code),
        _flat(row.message),
        _flat(row.thread),
        row.data_type,
        "true" if row.answered else "false",
        _flat(row.failure),
        row.received_bytes,
        row.sent_bytes,
        row.group_threads,
        row.all_threads,
        row.url,
        _whole(row.latency_ms),
        _whole(row.idle_ms),
        _whole(row.connect_ms),
    )


def _flat(text: str) -> str:
    return " ".join(text.split()) if "\n" in text or "\r" in text else text


def _whole(ms: float | None) -> int:
    return 0 if ms is None else round(ms)


def _told(
    side: str, lines: Iterable[tuple[object, ...]], on_rows: Callable[[str, int], None] | None
) -> Iterator[tuple[object, ...]]:
    for number, line in enumerate(lines, start=1):
        if on_rows and number % TELL_EVERY == 0:
            on_rows(side, number)
        yield line


def _log_file(log: Jtl, found: _Found, labels: frozenset[str], warmup_s: float) -> LogFile:
    if not found.rows:
        raise RecordError(_nothing(log, found, labels, warmup_s))
    frequent = sorted(found.labels.items(), key=lambda item: -item[1])[:MOST_LABELS]
    return LogFile(
        file=log.name,
        sha256=_digest(log),
        format=log.format,
        columns=log.columns,
        rows=found.rows,
        first_epoch_ms=found.first_ms,
        last_epoch_ms=found.last_ms,
        stamps=log.stamps,
        labels=dict(frequent),
        threads=len(found.threads),
        active_threads=found.active / found.active_rows if found.active_rows else None,
        mean_bytes=found.received / found.received_rows if found.received_rows else None,
        codes=dict(sorted(found.codes.items(), key=lambda item: -item[1])[:MOST_LABELS]),
        notes=tuple(_notes(found)),
        assumed=tuple(_assumed(log, found)),
    )


def _digest(log: Jtl) -> str:
    digest = hashlib.sha256()
    for path in log.paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def _nothing(log: Jtl, found: _Found, labels: frozenset[str], warmup_s: float) -> str:
    if found.skipped:
        known = ", ".join(repr(label) for label in list(found.skipped)[:MOST_LABELS])
        return f"{log.name} has no request labelled {' or '.join(sorted(labels))}; it has {known}."
    if found.early:
        return f"{log.name} is over within the {warmup_s:g} s of warm-up; drop less."
    return f"{log.name} holds no whole request; there is nothing to compare."


def _notes(found: _Found) -> Iterator[str]:
    """What was left out of a log, in words."""
    seen, skipped = found.seen, sum(found.skipped.values())
    if seen.cut_off:
        yield "Its last row is cut off and was left out."
    if seen.nested:
        yield f"{seen.nested:,} samples inside others were left out: the outermost one counts."
    if seen.summaries:
        yield (
            f"{seen.summaries:,} rows of Transaction Controllers were left out: they sum up "
            "requests that have rows of their own."
        )
    if seen.headers:
        yield f"{seen.headers:,} more header lines: several tests may have been written to it."
    if seen.undecodable:
        yield f"{seen.undecodable:,} lines have bytes that are not UTF-8."
    if skipped:
        yield f"{skipped:,} requests with other labels were left out."
    if found.early:
        yield f"{found.early:,} requests of the warm-up were left out."


def _assumed(log: Jtl, found: _Found) -> Iterator[str]:
    """What was taken for granted of a log, in words."""
    if log.assumed_zone:
        yield "Its times are dates; where they name no time zone, the stated one is assumed."
    if log.stamps is Stamps.END:
        yield "timeStamp is when a request ended (requests of one thread would overlap otherwise)."
    elif not log.stamps_told:
        yield "timeStamp is taken for the beginning of a request; the rows fit either reading."
    if len(found.labels) > 1:
        yield f"It has {len(found.labels):,} labels, taken together: {_listed(found.labels)}."
    if not {"success", "responseCode"} & set(log.columns):
        yield "It tells neither success nor response code: every request is taken as answered."


def _listed(labels: Mapping[str, int]) -> str:
    frequent = sorted(labels.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{label!r} ({number:,})" for label, number in frequent)
