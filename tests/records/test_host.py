"""``host.csv`` reads back what was written, up to its last whole line."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from twinserve.errors import RecordError
from twinserve.records.host import COLUMNS, HostRow, HostWriter, host_if_any, read_host
from twinserve.records.run import RunDirectory

ROW = HostRow(
    at_ms=1_790_000_000_000.5,
    period_s=1.0002,
    cores=2,
    busy_percent=132.25,
    steal_percent=0.5,
    generator_percent=12.5,
    platform_percent=101.0,
    lag_mean_ms=0.21,
    lag_max_ms=4.75,
    swap_in_mib=0.0,
    swap_out_mib=1.5,
    nr_throttled=3,
    throttled_usec=120_000,
    pressure_percent=31.5,
    heat_throttles=1,
)
BARE = replace(
    ROW,
    busy_percent=None,
    steal_percent=None,
    lag_mean_ms=None,
    lag_max_ms=None,
    swap_in_mib=None,
    swap_out_mib=None,
    nr_throttled=None,
    throttled_usec=None,
    pressure_percent=None,
    heat_throttles=None,
)


def test_rows_read_back_as_written_whether_told_or_not(tmp_path: Path) -> None:
    path = RunDirectory(tmp_path).host
    with HostWriter(path) as writer:
        writer.add(BARE)  # the first row decides no column's type
        writer.add(ROW)
    rows = read_host(path)
    assert tuple(rows.columns) == COLUMNS
    assert [HostRow(**row) for row in rows.iter_rows(named=True)] == [BARE, ROW]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_row_that_a_crash_cut_short_is_left_out(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "host.csv"
    with HostWriter(path) as writer:
        writer.add(ROW)
        writer.add(ROW)
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_host(path).height == 1


def test_a_run_without_the_file_has_no_rows_and_the_same_columns(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="missing"):
        read_host(tmp_path / "host.csv")
    rows = host_if_any(tmp_path / "host.csv")
    assert rows.height == 0
    assert tuple(rows.columns) == COLUMNS
    assert rows.schema["nr_throttled"] == pl.Int64
