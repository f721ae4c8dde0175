"""Logs of several machines that sent one load, read as one."""

from pathlib import Path

from twinserve.records.jtl import open_jtl
from twinserve.records.jtl_joined import joined
from twinserve.records.jtl_row import JtlSeen, Stamps

HEADER = "timeStamp,elapsed,label,success,threadName,allThreads"
BEGIN_MS = 1712476531000


def log(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_rows_stand_in_the_order_of_their_moments_and_threads_stay_apart(tmp_path: Path) -> None:
    one = log(
        tmp_path / "1.csv", "1712476531000,5,a,true,G 1-1,2", "1712476531020,5,a,true,G 1-1,2"
    )
    other = log(tmp_path / "2.csv", "1712476531010,5,a,true,G 1-1,3", "1712476531030,5,a,false,,3")
    both = joined([open_jtl(one), open_jtl(other)])
    rows = list(both.rows())
    assert [row.at_ms - BEGIN_MS for row in rows] == [0, 10, 20, 30]
    assert [row.thread for row in rows] == ["1: G 1-1", "2: G 1-1", "1: G 1-1", ""]
    assert [row.all_threads for row in rows] == [2, 5, 5, 5]  # 2 and 3 at the same time
    assert both.begin_ms == BEGIN_MS
    assert both.name == "1.csv, 2.csv"
    assert len(list(both.rows())) == 4  # from the beginning again


def test_one_log_is_itself(tmp_path: Path) -> None:
    only = open_jtl(log(tmp_path / "1.csv", "1712476531000,5,a,true,G 1-1,2"))
    assert joined([only]) is only


def test_stamps_of_ends_become_those_of_beginnings_where_logs_differ(tmp_path: Path) -> None:
    starts = log(tmp_path / "1.csv", "1712476531000,500,a,true,t,1", "1712476531500,100,a,true,t,1")
    ends = log(tmp_path / "2.csv", "1712476531200,500,a,true,t,1", "1712476531300,50,a,true,t,1")
    both = joined([open_jtl(starts), open_jtl(ends)])
    assert [open_jtl(starts).stamps, open_jtl(ends).stamps] == [Stamps.START, Stamps.END]
    assert both.stamps is Stamps.START
    assert sorted(row.at_ms - BEGIN_MS for row in both.rows()) == [-300, 0, 250, 500]


def test_columns_are_those_that_all_have_and_what_is_left_out_adds_up(tmp_path: Path) -> None:
    one = log(
        tmp_path / "1.csv", "1712476531000,5,a,true,t,2", HEADER, "1712476531010,5,a,true,t,2"
    )
    other = log(tmp_path / "2.csv", "1712476531005,5,true", header="timeStamp,elapsed,success")
    other.write_text(other.read_text() + "1712476531006,")
    both, seen = joined([open_jtl(one), open_jtl(other)]), JtlSeen()
    assert both.columns == ("timeStamp", "elapsed", "success")
    assert len(list(both.rows(seen))) == 3
    assert seen.headers == 1
    assert seen.cut_off
