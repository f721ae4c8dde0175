"""The logs of several machines that sent one load together, as one log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import merge

from twinserve.records.jtl import Jtl, began_ms
from twinserve.records.jtl_row import JtlRow, JtlSeen, Stamps


def joined(logs: Sequence[Jtl]) -> Jtl:
    """One log with the rows of all, in the order in which their machines' clocks put them.

    Time stamps are those of beginnings where the logs differ in that, columns those that all have.
    Threads of two machines stay two threads, whatever their names.
    """
    if len(logs) == 1:
        return logs[0]
    first = logs[0]
    stamps = first.stamps if len({log.stamps for log in logs}) == 1 else Stamps.START

    def rows(seen: JtlSeen) -> Iterator[JtlRow]:
        machines = [_renamed(number, log, stamps, seen) for number, log in enumerate(logs, 1)]
        return _all_active(merge(*machines, key=lambda each: each[1].at_ms))

    return replace(
        first,
        others=tuple(log.path for log in logs[1:]),
        format=" and ".join(sorted({log.format for log in logs})),
        columns=tuple(c for c in first.columns if all(c in log.columns for log in logs)),
        assumed_zone=any(log.assumed_zone for log in logs),
        stamps=stamps,
        stamps_told=all(log.stamps_told for log in logs),
        begin_ms=min(log.begin_ms for log in logs),
        _rows=rows,
    )


def _renamed(number: int, log: Jtl, stamps: Stamps, seen: JtlSeen) -> Iterator[tuple[int, JtlRow]]:
    for row in log.rows(seen):
        at_ms = row.at_ms if log.stamps is stamps else began_ms(row, log.stamps)
        thread = f"{number}: {row.thread}" if row.thread else ""
        yield number, row._replace(at_ms=at_ms, thread=thread)


def _all_active(rows: Iterator[tuple[int, JtlRow]]) -> Iterator[JtlRow]:
    """Each machine counts its own active threads: their sum is what the load had."""
    active: dict[int, int] = {}
    for number, row in rows:
        if row.all_threads is None:
            yield row
            continue
        active[number] = row.all_threads
        yield row._replace(all_threads=sum(active.values()))
