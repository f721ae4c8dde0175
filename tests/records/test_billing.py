from __future__ import annotations

from pathlib import Path

import pytest

from twinserve.errors import RecordError
from twinserve.records.billing import COLUMNS, BillingRow, BillingWriter, read_billing


def row(at_ms: float, requests: int, side: str = "container", mode: str = "request") -> BillingRow:
    return BillingRow(
        at_ms, side, mode, 1, requests, 1 / 3 + requests, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 12_000
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "billing.csv"
    with BillingWriter(path) as writer:
        writer.add(row(1000.0, 3))
        writer.add(row(1000.0, 7, side="function"))
    frame = read_billing(path)
    assert tuple(frame.columns) == COLUMNS
    assert frame["requests"].to_list() == [3, 7]
    assert frame["billable_s"].to_list() == [3.333333, 7.333333]


def test_a_second_in_which_nothing_changed_has_no_row(tmp_path: Path) -> None:
    path = tmp_path / "billing.csv"
    with BillingWriter(path) as writer:
        for at_ms, requests in ((1.0, 3), (2.0, 3), (3.0, 4), (4.0, 4)):
            writer.add(row(at_ms, requests))
            writer.add(row(at_ms, 9, mode="instance"))
    frame = read_billing(path)
    assert frame.filter(frame["mode"] == "request")["at_ms"].to_list() == [1.0, 3.0]
    assert frame.filter(frame["mode"] == "instance")["at_ms"].to_list() == [1.0]


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "billing.csv"
    with BillingWriter(path) as writer:
        writer.add(row(1.0, 3))
        writer.add(row(2.0, 4))
    path.write_bytes(path.read_bytes()[:-9])
    assert read_billing(path)["requests"].to_list() == [3]


def test_a_run_of_before_there_was_a_meter_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"billing\.csv is missing"):
        read_billing(tmp_path / "billing.csv")
