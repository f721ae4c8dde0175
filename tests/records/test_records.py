"""Records survive a writer that dies at any moment, and read back what was written."""

import csv
import json
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinserve.errors import RecordError, UsageError
from twinserve.records.events import EventKind, EventWriter, InstanceEvent, read_events
from twinserve.records.lines import CsvWriter, whole_lines
from twinserve.records.manifest import read_manifest
from twinserve.records.resources import ResourceRow, ResourceWriter, read_resources
from twinserve.records.run import RunDirectory
from twinserve.records.samples import (
    JMETER_5,
    Phase,
    Sample,
    SampleWriter,
    read_samples,
)

SAMPLE = Sample(
    side="function",
    phase=Phase.BLOCK,
    block=3,
    user=1,
    users=4,
    url="http://127.0.0.1:1/generate",
    images=1,
    seed=7,
    started_epoch_ms=1_790_000_000_000.0,
    due_us=1_000_000,
    sent_us=1_000_400,
    connected_us=1_000_900,
    first_byte_us=1_020_400,
    done_us=1_021_650,
    status=200,
    reason="OK",
    failure="",
    received_bytes=512,
    sent_bytes=30,
    process_ms=18.5,
    queue_ms=0.25,
    cold_ms=None,
    instance="function-1",
)


def written(path: Path, *samples: Sample) -> Path:
    with SampleWriter(path) as writer:
        for sample in samples:
            writer.add(sample)
    return path


def test_a_row_is_jmeters_first_and_exact_behind(tmp_path: Path) -> None:
    path = written(tmp_path / "samples.csv", SAMPLE)
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert tuple(row)[: len(JMETER_5)] == JMETER_5
    assert (row["elapsed"], row["Latency"], row["Connect"]) == ("22", "20", "0")
    assert (row["timeStamp"], row["success"], row["threadName"]) == (
        "1790000001000",
        "true",
        "function 1-2",
    )
    frame = read_samples(path)
    assert frame.select("elapsed_ms", "latency_ms", "connect_ms").row(0) == pytest.approx(
        (21.65, 20.4, 0.5)
    )
    assert frame["cold_ms"].to_list() == [None]


def test_waiting_to_be_sent_counts_as_waiting(tmp_path: Path) -> None:
    late = replace(SAMPLE, due_us=500_000)
    path = written(tmp_path / "samples.csv", late)
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["timeStamp"], row["elapsed"], row["Latency"]) == ("1790000000500", "522", "520")
    assert read_samples(path)["elapsed_ms"].to_list() == [521.65]


def test_a_picture_is_bytes_in_jmeters_words(tmp_path: Path) -> None:
    path = written(tmp_path / "samples.csv", SAMPLE, replace(SAMPLE, format="png"))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["dataType"], row["format"]) for row in rows] == [("text", "json"), ("bin", "png")]


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "samples.csv", SAMPLE)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    first_new = rows[0].index("format")
    path.write_text("".join(f"{','.join(row[:first_new])}\n" for row in rows))
    frame = read_samples(path)
    assert "format" not in frame.columns
    assert frame["elapsed_ms"].to_list() == [21.65]


def test_a_failure_is_a_row_like_any_other(tmp_path: Path) -> None:
    sample = replace(
        SAMPLE,
        status=0,
        failure='refused,\n"twice"\r\nover',
        connected_us=None,
        first_byte_us=None,
        process_ms=None,
    )
    frame = read_samples(written(tmp_path / "samples.csv", SAMPLE, sample))
    assert frame["success"].to_list() == [True, False]
    assert frame["failureMessage"][1] == 'refused, "twice" over'
    assert frame["responseCode"][1] == "Non HTTP response code"
    assert frame["latency_ms"].to_list() == [pytest.approx(20.4), None]


@given(st.integers(1, 400))
def test_a_file_cut_anywhere_keeps_its_whole_rows(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "samples.csv"
    data = written(path, SAMPLE, SAMPLE, SAMPLE).read_bytes()
    path.write_bytes(data[:-cut])
    rows = data[:-cut].count(b"\n") - 1
    if rows < 0:
        with pytest.raises(RecordError, match="no whole line"):
            read_samples(path)
    else:
        assert read_samples(path).height == rows


def test_a_file_that_is_opened_again_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for value in (1, 2):
        with CsvWriter(path, ["n"]) as writer:
            writer.write([value])
    assert whole_lines(path) == b"n\n1\n2\n"


def test_resources_and_events_read_back(tmp_path: Path) -> None:
    row = ResourceRow(1.5, "container", "container-1", 99.5, 210.25, 3, 9, 0.5, 512.0, 10, 8, 400)
    with ResourceWriter(tmp_path / "resources.csv") as resources:
        resources.add(row)
    assert read_resources(tmp_path / "resources.csv").row(0) == astuple(row)
    event = InstanceEvent(1.5, "container", "container-1", EventKind.READY, start_ms=812.5)
    events = EventWriter(tmp_path / "instances.jsonl")
    events.add(event)
    events.close()
    with (tmp_path / "instances.jsonl").open("ab") as file:
        file.write(b'{"at_ms": 2.5, "si')
    assert read_events(tmp_path / "instances.jsonl") == [event]
    assert read_events(tmp_path / "absent.jsonl") == []


def test_a_directory_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run")
    run.manifest.write_text("{}")
    with pytest.raises(UsageError, match="holds a run already"):
        RunDirectory.create(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be made"):
        RunDirectory.create(tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "not a run directory"),
        ("{", "damaged"),
        ('{"schema_version": 1}', "damaged"),
        ('{"schema_version": 99}', "schema 99"),
    ],
)
def test_a_manifest_that_cannot_be_read_says_why(
    tmp_path: Path, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(RecordError, match=said):
        read_manifest(tmp_path / "run.json")


def test_a_manifest_of_schema_1_is_read(make_run: Callable[..., RunDirectory]) -> None:
    run = make_run(blocks=2, users=3, think_s=0.25, images=2)
    now = read_manifest(run.manifest)
    fields = json.loads(run.manifest.read_text())
    loop = fields["workload"].pop("arrivals")
    (ask,) = fields["workload"].pop("mix")
    for new in ("repeats", "concurrent", "cold"):
        del fields["workload"][new]
    fields["workload"] |= {"users": 3, "think_s": 0.25, "images": ask["images"]}
    assert loop == {"kind": "closed", "users": 3, "think_s": 0.25, "ramp_s": 0.0}
    fields["schema_version"] = 1
    run.manifest.write_text(json.dumps(fields))
    assert read_manifest(run.manifest).workload == now.workload
    assert read_manifest(run.manifest).blocks == now.blocks
