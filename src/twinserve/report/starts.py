"""Cold starts taken apart: the stages of every start of a run, as a table's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinserve.records.events import EventKind, InstanceEvent, StartStages
from twinserve.report.numbers import UNDETERMINED, format_number

STAGES = {
    "spawn_ms": "spawn",
    "runtime_ms": "runtime and imports",
    "load_ms": "model load",
    "inference_ms": "first inference",
}
REST = "listen and notice"
HEADINGS = (*STAGES.values(), REST, "whole start")


@dataclass(frozen=True)
class StartRow:
    """One start: a cell for each of ``HEADINGS``, in ms."""

    side: str
    instance: str
    cells: tuple[str, ...]


def start_rows(events: Sequence[InstanceEvent]) -> list[StartRow]:
    """A row for each start whose stages were told, in the order of time; runs of before they were
    have none."""
    return [
        StartRow(event.side, event.instance, _cells(event.stages, event.start_ms))
        for event in events
        if event.event is EventKind.READY and event.stages and event.start_ms is not None
    ]


def _cells(stages: StartStages, whole_ms: float) -> tuple[str, ...]:
    told = [getattr(stages, stage) for stage in STAGES]
    rest_ms = max(0.0, whole_ms - sum(value or 0.0 for value in told))
    values = [*told, rest_ms if None not in told else None, whole_ms]
    return tuple(UNDETERMINED if value is None else format_number(value) for value in values)
