"""Cold starts taken apart in the report."""

from __future__ import annotations

from twinserve.records.events import EventKind, InstanceEvent, StartStages
from twinserve.report.starts import HEADINGS, start_rows


def ready(instance: str, start_ms: float | None, stages: StartStages | None) -> InstanceEvent:
    return InstanceEvent(
        1.0, "container", instance, EventKind.READY, start_ms=start_ms, stages=stages
    )


def test_each_start_has_its_stages_and_what_is_left_of_the_whole() -> None:
    [row] = start_rows(
        [
            InstanceEvent(0.0, "container", "container-1", EventKind.START),
            ready("container-1", 1000.0, StartStages(100.0, 600.0, 200.0, 50.0)),
        ]
    )
    assert dict(zip(HEADINGS, row.cells, strict=True)) == {
        "spawn": "100",
        "runtime and imports": "600",
        "model load": "200",
        "first inference": "50.0",
        "listen and notice": "50.0",
        "whole start": "1,000",
    }


def test_a_stage_that_nobody_told_is_a_dash() -> None:
    [row] = start_rows([ready("container-1", 900.0, StartStages(load_ms=200.0))])
    assert row.cells == ("–", "–", "200", "–", "–", "900")


def test_starts_of_before_stages_were_told_have_no_row() -> None:
    assert start_rows([ready("container-1", 900.0, None)]) == []
