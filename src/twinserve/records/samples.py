"""``samples.csv``: one row a request, JMeter's columns first, then our own.

JMeter's *elapsed*, *Latency* and *Connect* are whole milliseconds there; the exact times stand
beside them in microseconds since the run began, so that nothing is rounded away.

*timeStamp*, *elapsed* and *Latency* count from when a request was due: in a closed loop that is
when it was sent; in an open loop one that left late, or waited behind others, has waited.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from twinserve.records.jtl_columns import JMETER_5
from twinserve.records.lines import CsvWriter, whole_lines

if TYPE_CHECKING:
    import polars as pl


class Phase(StrEnum):
    """What a request was sent for; only ``BLOCK`` rows are compared, of imported logs ``LOG``."""

    EQUALITY = "equality"
    WARMUP = "warmup"
    BLOCK = "block"
    LOG = "log"
    SEARCH = "search"  # for the highest rate; ``block`` is then the load's number


OUR_COLUMNS = (
    "side",
    "phase",
    "block",
    "user",
    "images",
    "seed",
    "due_us",
    "sent_us",
    "connected_us",
    "first_byte_us",
    "done_us",
    "process_ms",
    "queue_ms",
    "cold_ms",
    "instance",
    "format",
    "instance_queue_ms",
    "inference_ms",
    "encode_ms",
)
COLUMNS = JMETER_5 + OUR_COLUMNS
# JMeter opens a file with further columns where these are named as its own sample variables are: in
# quotes, which CSV readers take off.
HEADER = ",".join((*JMETER_5, *(f'"{name}"' for name in OUR_COLUMNS)))


@dataclass(frozen=True)
class Sample:
    """One request as the load generator saw it; ``*_us`` are microseconds since the run began.

    A request that got no answer has ``status`` 0, the exception's text as ``failure`` and None for
    what did not happen. ``process_ms``, ``queue_ms`` and ``cold_ms`` are the service's and the
    gateway's own words (``Server-Timing``); ``cold_ms`` is above 0 when the request waited for an
    instance to start. ``queue_ms`` adds up both waits; of ``process_ms``, ``instance_queue_ms`` was
    the wait for a turn at the model, ``inference_ms`` the model, ``encode_ms`` making files of it.
    """

    side: str
    phase: Phase
    block: int  # -1 outside blocks
    user: int
    users: int
    url: str
    images: int
    seed: int
    started_epoch_ms: float  # when the run began
    due_us: int
    sent_us: int
    connected_us: int | None
    first_byte_us: int | None
    done_us: int
    status: int
    reason: str
    failure: str
    received_bytes: int
    sent_bytes: int
    process_ms: float | None = None
    queue_ms: float | None = None
    cold_ms: float | None = None
    instance: str = ""
    format: str = "json"  # what the answer was asked to be
    instance_queue_ms: float | None = None
    inference_ms: float | None = None
    encode_ms: float | None = None

    @property
    def success(self) -> bool:
        return 200 <= self.status < 300 and not self.failure

    @property
    def elapsed_ms(self) -> float:
        """From when it was due (in a closed loop: just before sending) to after the last byte,
        connecting included."""
        return (self.done_us - self.due_us) / 1000

    def row(self) -> tuple[object, ...]:
        """The values of :data:`COLUMNS`."""
        return (
            round(self.started_epoch_ms + self.due_us / 1000),
            round(self.elapsed_ms),
            f"{self.side} generate",
            self.status or "Non HTTP response code",
            self.reason,
            f"{self.side} 1-{self.user + 1}",
            _data_type(self.format) if self.success else "",
            self.success,
            self.failure,
            self.received_bytes,
            self.sent_bytes,
            self.users,
            self.users,
            self.url,
            _whole_ms(self.due_us, self.first_byte_us),
            0,
            _whole_ms(self.sent_us, self.connected_us),
            self.side,
            self.phase.value,
            self.block,
            self.user,
            self.images,
            self.seed,
            self.due_us,
            self.sent_us,
            self.connected_us,
            self.first_byte_us,
            self.done_us,
            self.process_ms,
            self.queue_ms,
            self.cold_ms,
            self.instance,
            self.format,
            self.instance_queue_ms,
            self.inference_ms,
            self.encode_ms,
        )


class SampleWriter(CsvWriter):
    """Appends samples to a run's ``samples.csv``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, COLUMNS, HEADER)

    def add(self, sample: Sample) -> None:
        self.write(sample.row())


def read_samples(path: Path) -> pl.DataFrame:
    """Every whole row of a ``samples.csv``, with ``elapsed_ms``, ``latency_ms``, ``connect_ms``
    exact.

    Raises:
        RecordError: the file is missing or empty.
    """
    import polars as pl

    numbers = tuple(name for name in OUR_COLUMNS if name.endswith("_ms"))
    whole = ("block", "user", "images", "seed", *(c for c in OUR_COLUMNS if c.endswith("_us")))
    types = dict.fromkeys(numbers, pl.Float64) | dict.fromkeys(whole, pl.Int64)
    texts = ("responseCode", "responseMessage", "failureMessage", "dataType", "instance", "URL")
    frame = pl.read_csv(whole_lines(path), schema_overrides=types | dict.fromkeys(texts, pl.String))
    older = [name for name in numbers if name not in frame.columns]
    due_us = pl.coalesce("due_us", "sent_us")  # a JMeter log knows no due time
    return frame.with_columns(
        *(pl.lit(None, pl.Float64).alias(name) for name in older),
        elapsed_ms=(pl.col("done_us") - due_us) / 1000,
        latency_ms=(pl.col("first_byte_us") - due_us) / 1000,
        connect_ms=(pl.col("connected_us") - pl.col("sent_us")) / 1000,
    )


def _data_type(asked: str) -> str:
    """As JMeter calls what came: text, or bytes."""
    return "text" if asked == "json" else "bin"


def _whole_ms(start_us: int, end_us: int | None) -> int:
    return 0 if end_us is None else round((end_us - start_us) / 1000)
