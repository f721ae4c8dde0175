"""The values of one sample of a JMeter log: texts in, a :class:`JtlRow` out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twinserve.records.jtl_columns import JMETER_5
from twinserve.records.jtl_row import JtlRow
from twinserve.records.jtl_times import ALLOWED, Reader

A_TIME = "a time in milliseconds, 0 or more"
TRUE, FALSE = {"true", "1"}, {"false", "0"}
# The columns from which a row is made, in the order that :func:`row_reader` expects.
READ = (*JMETER_5, "SampleCount")


class BadValue(ValueError):
    """A value that cannot be read; the text names it and what is allowed."""

    def __init__(self, column: str, value: str, allowed: str) -> None:
        shown = value if len(value) <= 80 else f"{value[:77]}..."
        super().__init__(f"{column} is {shown!r}; allowed is {allowed}.")


def row_reader(moment: Reader) -> Callable[[Sequence[str], tuple[str, ...]], JtlRow]:
    """Texts in the order of ``READ`` ("" where there is none), and the extra ones -> a row.

    The reader raises BadValue.
    """

    def read(texts: Sequence[str], extra: tuple[str, ...] = ()) -> JtlRow:
        (at, elapsed, label, code, message, thread, kind, success, failure, received, sent,
         group, threads, url, latency, idle, connect, samples) = texts  # fmt: skip
        if samples and samples != "1":
            raise BadValue(
                "SampleCount",
                samples,
                "1: rows that sum up several requests (JMeter's Statistical mode) hide their times",
            )
        try:
            at_ms = moment(at)
        except ValueError:
            raise BadValue("timeStamp", at, ALLOWED) from None
        if not elapsed:
            raise BadValue("elapsed", elapsed, A_TIME)
        return JtlRow(
            at_ms,
            _number("elapsed", elapsed) or 0.0,
            label,
            code,
            message,
            thread,
            kind,
            _truth(success),
            failure,
            _count("bytes", received),
            _count("sentBytes", sent),
            _count("grpThreads", group),
            _count("allThreads", threads),
            url,
            _number("Latency", latency),
            _number("IdleTime", idle),
            _number("Connect", connect),
            extra,
        )

    return read


def _number(column: str, text: str) -> float | None:
    """A time in ms; None for an empty text."""
    if text.isdecimal():
        return float(text)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise BadValue(column, text, A_TIME)
    return value


def _count(column: str, text: str) -> int | None:
    if text.isdecimal():
        return int(text)
    if not text or text in {"null", "-1"}:
        return None
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise BadValue(column, text, "a whole number, 0 or more") from None


def _truth(text: str) -> bool | None:
    if text == "true":  # by far the most frequent one
        return True
    word = text.strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    if word:
        raise BadValue("success", text, "true or false")
    return None
