"""JMeter logs as they are found: every dialect gives the same rows, every fault names its line."""

import csv
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinserve.errors import RecordError
from twinserve.records.jtl import open_jtl
from twinserve.records.jtl_columns import HEADERLESS, known_name
from twinserve.records.jtl_row import JtlOptions, JtlSeen, Stamps

DATA = Path(__file__).parents[1] / "data" / "jtl"
HEADER = (
    "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,"
    "failureMessage,bytes,sentBytes,grpThreads,allThreads,URL,Latency,IdleTime,Connect"
)
ROW = "1712476537244,120,GET,200,OK,Group 1-1,text,true,,500,99,2,2,http://h/a,110,0,7"
FAILED = (
    "1712476537400,2001,GET,Non HTTP response code: java.net.SocketTimeoutException,"
    '"Non HTTP response message: Read timed out",Group 1-2,text,false,"first line\nsecond, '
    '""too""",0,99,2,2,http://h/a,0,0,3'
)


def written(tmp_path, text, name="log.jtl", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def rows_of(path, **options):
    return list(open_jtl(path, JtlOptions(**options)).rows())


def seen_in(path, **options):
    seen = JtlSeen()
    list(open_jtl(path, JtlOptions(**options)).rows(seen))
    return seen


@pytest.mark.parametrize(("name", "mean", "connect"), [("container", 61992.14, 58.94),
                                                       ("function", 6985.17, 62.28)])  # fmt: skip
def test_the_published_logs_are_read_to_their_last_row(name, mean, connect):
    """The container's last line has no line end; the connect times are those of its authors."""
    rows = rows_of(DATA / f"{name}.csv")
    assert len(rows) == 100
    assert sum(row.elapsed_ms for row in rows) / 100 == pytest.approx(mean)
    assert sum(row.connect_ms for row in rows) / 100 == pytest.approx(connect)
    assert all(row.answered and row.got_answer for row in rows)


def test_a_row_has_all_of_jmeters_columns(tmp_path):
    (row,) = rows_of(written(tmp_path, f"{HEADER}\n{ROW}\n"))
    assert row.at_ms == 1712476537244
    assert (row.elapsed_ms, row.latency_ms, row.connect_ms, row.idle_ms) == (120, 110, 7, 0)
    assert (row.label, row.code, row.message, row.thread) == ("GET", "200", "OK", "Group 1-1")
    assert (row.received_bytes, row.sent_bytes) == (500, 99)
    assert (row.group_threads, row.all_threads, row.url) == (2, 2, "http://h/a")


def test_a_request_that_timed_out_got_no_answer_and_keeps_its_message_of_two_lines(tmp_path):
    _, row = rows_of(written(tmp_path, f"{HEADER}\n{ROW}\n{FAILED}\n"))
    assert not row.answered
    assert not row.got_answer
    assert row.failure == 'first line\nsecond, "too"'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("start", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dialects_give_the_same_rows(tmp_path, delimiter, header, start, end):
    plain = rows_of(written(tmp_path, f"{HEADER}\n{ROW}\n{FAILED}\n"))
    lines = list(csv.reader(f"{HEADER}\n{ROW}\n{FAILED}\n".splitlines(keepends=True)))
    path = tmp_path / "dialect.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(start)
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(lines[not header :])
    assert rows_of(path) == plain


def test_utf16_is_read_by_its_byte_order_mark(tmp_path):
    path = written(tmp_path, f"{HEADER}\n{ROW.replace('GET', 'Grüße')}\n", encoding="utf-16")
    assert rows_of(path)[0].label == "Grüße"


@pytest.mark.parametrize("count", sorted(HEADERLESS))
def test_every_default_order_of_jmeter_is_known_without_a_header_line(tmp_path, count):
    values = dict(zip(HEADER.split(","), ROW.split(","), strict=True))
    line = ",".join(values[name] for name in HEADERLESS[count])
    (row,) = rows_of(written(tmp_path, f"{line}\n"))
    assert (row.elapsed_ms, row.latency_ms, row.success) == (120, 110, True)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("response_time", "elapsed"), ("Response Time", "elapsed"), ("responseTime", "elapsed"),
        ("t", "elapsed"), ("TIMESTAMP", "timeStamp"), ("ts", "timeStamp"), ("lt", "Latency"),
        ("ct", "Connect"), ("tn", "threadName"), ("status_code", "responseCode"),
        ("something", None),
    ],
)  # fmt: skip
def test_renamed_columns_are_known(name, known):
    assert known_name(name) == known


def test_columns_may_stand_in_any_order_and_most_may_be_missing(tmp_path):
    (row,) = rows_of(written(tmp_path, "response_time,junk,time_stamp\n120,x,1712476537244\n"))
    assert (row.elapsed_ms, row.at_ms) == (120, 1712476537244)
    assert (row.latency_ms, row.connect_ms, row.success, row.thread) == (None, None, None, "")
    assert row.answered


def test_jmeters_own_name_wins_over_another_name_of_the_same(tmp_path):
    (row,) = rows_of(written(tmp_path, "timeStamp,time,elapsed\n1712476537244,9,120\n"))
    assert row.elapsed_ms == 120


def test_a_name_that_nobody_can_guess_is_told(tmp_path):
    path = written(tmp_path, "timeStamp,Antwortzeit\n1712476537244,120\n")
    with pytest.raises(RecordError, match=r"elapsed among .*'Antwortzeit'"):
        rows_of(path)
    assert rows_of(path, renamed={"elapsed": "Antwortzeit"})[0].elapsed_ms == 120


def test_columns_of_a_file_without_header_are_told(tmp_path):
    path = written(tmp_path, "120;1712476537244;true\n")
    with pytest.raises(RecordError, match="3 columns, no header line"):
        rows_of(path)
    (row,) = rows_of(path, columns=("elapsed", "timeStamp", "success"))
    assert (row.elapsed_ms, row.at_ms, row.success) == (120, 1712476537244, True)


@pytest.mark.parametrize(
    ("text", "options", "when"),
    [
        ("2026/11/25 12:30:45.123", {}, datetime(2026, 11, 25, 12, 30, 45, 123000, UTC)),
        ("2026/11/25 12:30:45", {}, datetime(2026, 11, 25, 12, 30, 45, tzinfo=UTC)),
        ("2026-11-25 12:30:45,5", {}, datetime(2026, 11, 25, 12, 30, 45, 500000, UTC)),
        ("2026-11-25T12:30:45Z", {}, datetime(2026, 11, 25, 12, 30, 45, tzinfo=UTC)),
        ("2026-11-25T12:30:45+02:00", {}, datetime(2026, 11, 25, 10, 30, 45, tzinfo=UTC)),
        ("11/25/26 12:30:45", {}, datetime(2026, 11, 25, 12, 30, 45, tzinfo=UTC)),
        ("11/25/2026 12:30:45", {}, datetime(2026, 11, 25, 12, 30, 45, tzinfo=UTC)),
        (
            "25.11.2026 12:30:45",
            {"timestamp_format": "dd.MM.yyyy HH:mm:ss"},
            datetime(2026, 11, 25, 12, 30, 45, tzinfo=UTC),
        ),
        (
            "2026-11-25 12:30:45",
            {"zone": ZoneInfo("Europe/Rome")},
            datetime(2026, 11, 25, 11, 30, 45, tzinfo=UTC),
        ),
        ("1.712476537244E12", {}, datetime.fromtimestamp(1712476537.244, UTC)),
    ],
)
def test_moments_in_the_formats_that_jmeter_writes(tmp_path, text, options, when):
    path = written(tmp_path, f'timeStamp,elapsed\n"{text}",5\n')
    assert rows_of(path, **options)[0].at_ms == pytest.approx(when.timestamp() * 1000)


@pytest.mark.parametrize(
    "text", ["1712476537", "25/11/2026 12:30:45", "yesterday", "12:30:45", "1712476537244000"]
)
def test_a_moment_of_another_kind_is_refused_with_what_is_allowed(tmp_path, text):
    path = written(tmp_path, f"timeStamp,elapsed\n{text},5\n")
    with pytest.raises(RecordError, match=r"line 2: timeStamp is .*allowed are epoch milli"):
        rows_of(path)


@pytest.mark.parametrize("pattern", ["dd.MM", "EEE dd.MM.yyyy HH:mm:ss"])
def test_a_timestamp_format_that_cannot_be_used_is_refused(tmp_path, pattern):
    path = written(tmp_path, "timeStamp,elapsed\n25.11.2026 12:30:45,5\n")
    with pytest.raises(RecordError, match=r"timestamp format .* cannot be used"):
        rows_of(path, timestamp_format=pattern)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (ROW.replace(",120,", ",soon,"), "line 3: elapsed is 'soon'; allowed is a time in milli"),
        (ROW.replace(",120,", ",-5,"), "line 3: elapsed is '-5'"),
        (ROW.replace(",120,", ",,"), "line 3: elapsed is ''"),
        (ROW.replace("true", "maybe"), "line 3: success is 'maybe'; allowed is true or false"),
        (ROW.replace("1712476537244", "7"), "line 3: timeStamp is '7'"),
        (ROW.replace(",500,", ",many,"), "line 3: bytes is 'many'"),
        (ROW + ",more", "line 3: it has 18 columns; the first line has 17"),
        ("lonely", "line 3: it has 1 columns"),
        (ROW.replace("OK", '"O"K'), "line 3: this is not CSV"),
        (ROW.replace("OK", '"' + "x\n" * 70_000 + '"'), "line 3: a value has over 131,072"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_value(tmp_path, row, says):
    path = written(tmp_path, f"{HEADER}\n{ROW}\n{row}\n{ROW}\n")
    with pytest.raises(RecordError) as refused:
        rows_of(path)
    assert str(refused.value).startswith(f"{path}, {says}")


def test_lines_are_counted_through_messages_of_several_lines(tmp_path):
    path = written(tmp_path, f"{HEADER}\n{FAILED}\nbad\n{ROW}\n")
    with pytest.raises(RecordError, match="line 4: it has 1 columns"):
        rows_of(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        (f"{HEADER}\n", "no row"),
        ("<html><body>404</body></html>", "the outermost element is 'html'"),
        ('<?xml version="1.0"?><testResults/>', "no whole sample"),
        ("just some words\nand more\n", "no column is known as timeStamp or elapsed"),
        ('{"a": 1}\n{"a": 2}\n', "no column is known"),
        (b"PK\x03\x04\x00\x00\xff\xfe\x80", "no column is known"),
        ("timeStamp,elapsed,SampleCount\n1712476537244,120,7\n", "SampleCount is '7'"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path, text, says):
    with pytest.raises(RecordError, match=says):
        rows_of(written(tmp_path, text))


def test_a_missing_log_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"nothing\.jtl is missing"):
        open_jtl(tmp_path / "nothing.jtl")


@given(cut=st.integers(min_value=0, max_value=len(FAILED)))
def test_a_file_cut_off_anywhere_in_its_last_row_gives_the_rows_before(cut, tmp_path_factory):
    path = written(
        tmp_path_factory.mktemp("cut"), f"{HEADER}\n{ROW}\n{FAILED}\n"[: -1 - cut or None]
    )
    rows = rows_of(path)
    seen = seen_in(path)
    assert rows[0].elapsed_ms == 120
    assert len(rows) == 1 or rows[1].elapsed_ms == 2001
    # A row that ends early enough lacks columns, and is left out, which is told.
    assert (len(rows) == 1) == (seen.cut_off or cut == len(FAILED))


def test_a_header_line_in_mid_file_is_passed_over(tmp_path):
    path = written(tmp_path, f"{HEADER}\n{ROW}\n{HEADER}\n{ROW}\n\n")
    assert len(rows_of(path)) == 2
    assert seen_in(path).headers == 1


def test_bytes_that_are_no_text_do_not_stop_the_reading(tmp_path):
    path = written(tmp_path, f"{HEADER}\n{ROW.replace('OK', 'Größe')}\n", encoding="latin-1")
    assert rows_of(path)[0].elapsed_ms == 120
    assert seen_in(path).undecodable == 1


def test_extra_columns_are_kept(tmp_path):
    path = written(tmp_path, f'{HEADER},"seed"\n{ROW},"17"\n')
    assert rows_of(path, extra=("seed", "absent"))[0].extra == ("17", "")


@pytest.mark.parametrize("code", ["200", "302", "404", "Non HTTP response code: java.net.X"])
def test_without_a_word_of_success_the_response_code_decides(tmp_path, code):
    path = written(tmp_path, f"timeStamp,elapsed,responseCode\n1712476537244,1,{code}\n")
    assert rows_of(path)[0].answered == (code in {"200", "302"})


def test_time_stamps_of_ends_are_told_by_threads_that_would_overlap(tmp_path):
    begin, text = 1712476537000, "timeStamp,elapsed,threadName\n"
    ends = [(begin + 1000, 1000), (begin + 1010, 10), (begin + 3010, 2000), (begin + 3020, 10)]
    assert open_jtl(written(tmp_path, text + "".join(f"{at},{took},a\n" for at, took in ends))
                    ).stamps is Stamps.END  # fmt: skip
    starts = [(at - took, took) for at, took in ends]
    log = open_jtl(written(tmp_path, text + "".join(f"{at},{took},a\n" for at, took in starts)))
    assert log.stamps is Stamps.START
    assert log.stamps_told
    assert not open_jtl(DATA / "function.csv").stamps_told  # each thread asked once


def test_a_transaction_row_is_left_out_where_its_requests_have_rows(tmp_path):
    message = "Number of samples in transaction : 2, number of failing samples : 0"
    text = "timeStamp,elapsed,label,responseMessage,threadName\n"
    begin = 1712476537000
    inside = f"{begin},50,GET,OK,t\n{begin + 50},50,GET,OK,t\n"
    whole = f'{begin},100,both,"{message}",t\n'
    path = written(tmp_path, text + inside + whole)
    assert [row.label for row in rows_of(path)] == ["GET", "GET"]
    assert seen_in(path).summaries == 1
    again = f'{begin + 200},100,both,"{message}",t\n'
    alone = written(tmp_path, text + whole + again)  # "generate parent sample"
    assert [row.label for row in rows_of(alone)] == ["both", "both"]


XML = """<?xml version="1.0" encoding="UTF-8"?>
<testResults version="1.2">
<httpSample t="120" it="0" lt="110" ct="7" ts="1712476537244" s="true" lb="GET" rc="200" rm="OK" tn="Group 1-1" dt="text" by="500" sby="99" ng="2" na="2">
  <httpSample t="60" it="0" lt="50" ct="7" ts="1712476537244" s="false" lb="GET-0" rc="302" rm="Moved" tn="Group 1-1" by="1">
    <java.net.URL>http://h/inner</java.net.URL>
    <assertionResult><name>a</name><failureMessage>inner</failureMessage></assertionResult>
  </httpSample>
  <sample t="60" ts="1712476537304" s="true" lb="GET-1" tn="Group 1-1"/>
  <responseData class="java.lang.String">&lt;b&gt;</responseData>
  <java.net.URL>http://h/a</java.net.URL>
</httpSample>
<sample t="2001" lt="0" ct="3" ts="1712476537400" s="false" lb="GET" rc="Non HTTP response code: java.net.SocketTimeoutException" rm="Read timed out" tn="Group 1-2" by="0">
  <assertionResult><name>size</name><failure>true</failure><failureMessage>too &amp; small
on two lines</failureMessage></assertionResult>
</sample>
</testResults>
"""  # noqa: E501


def test_xml_counts_the_outermost_samples(tmp_path):
    path = written(tmp_path, XML)
    first, second = rows_of(path)
    assert open_jtl(path).format == "XML"
    assert (first.elapsed_ms, first.latency_ms, first.connect_ms) == (120, 110, 7)
    assert (first.url, first.failure, first.all_threads) == ("http://h/a", "", 2)
    assert second.failure == "too & small\non two lines"
    assert not second.got_answer
    assert seen_in(path).nested == 2


@pytest.mark.parametrize("end", range(2, len(XML), 23))
def test_xml_cut_off_anywhere_gives_its_whole_samples(tmp_path, end):
    path = written(tmp_path, XML[:-end])
    whole = (XML[:-end].find("\n</httpSample>") > 0) + ("\n</sample>" in XML[:-end])
    if not whole:
        with pytest.raises(RecordError):
            rows_of(path)
        return
    assert len(rows_of(path)) == whole
    assert seen_in(path).cut_off


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (XML.replace('t="120"', 't="soon"'), "line 3: elapsed is 'soon'"),
        (XML.replace('ts="1712476537400"', 'ts="7"'), "line 12: timeStamp is '7'"),
        (XML.replace('lb="GET" rc="200"', 'lb=GET rc="200"'), "line 3: the XML is damaged"),
        (XML + XML[39:], "the XML is damaged"),
        (XML.replace('t="120" ', ""), "its samples have no elapsed"),
        (XML.replace("UTF-8", "KLINGON"), "cannot be decoded|is damaged"),
    ],
)
def test_bad_xml_is_refused_with_its_line(tmp_path, text, says):
    with pytest.raises(RecordError, match=says):
        rows_of(written(tmp_path, text))


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(10))


@pytest.mark.parametrize(
    "doctype",
    [
        f"<!DOCTYPE testResults [{LAUGHS}]>",
        '<!DOCTYPE testResults [<!ENTITY l9 SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE testResults SYSTEM "http://127.0.0.1:9/evil.dtd">',
        '<!DOCTYPE testResults [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]>',
    ],
)
def test_no_entity_is_ever_resolved(tmp_path, doctype):
    text = XML.replace("<testResults", f"{doctype}\n<testResults", 1).replace("OK", "&l9;")
    with pytest.raises(RecordError, match="line 2: it defines a document type or entities"):
        rows_of(written(tmp_path, text))


BIG = """
import resource, sys
from pathlib import Path
from twinserve.records.jtl import open_jtl
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(1 for _ in open_jtl(Path(sys.argv[1])).rows())
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("kind", ["csv", "xml"])
def test_a_long_log_is_read_in_the_memory_of_a_short_one(tmp_path, kind):
    """150,000 rows, each of a thread of its own; the first 100,000 are looked at beforehand."""
    path = tmp_path / f"long.{kind}"
    with path.open("w") as file:
        if kind == "csv":
            file.write(f"{HEADER}\n")
            file.writelines(
                f"{ROW}\n".replace("1-1", f"1-{i}").replace("537244", f"{537244 + i}")
                for i in range(150_000)
            )
        else:
            file.write("<testResults>\n")
            file.writelines(
                f'<sample t="1" ts="{1712476537244 + i}" tn="{i}"/>\n' for i in range(150_000)
            )
            file.write("</testResults>\n")
    out = subprocess.run(
        [sys.executable, "-c", BIG, str(path)], capture_output=True, text=True, check=True
    )
    rows, grown = map(int, out.stdout.split())
    assert rows == 150_000
    assert grown * (1 if sys.platform != "darwin" else 1 / 1024) < 120_000
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
