"""Moments in a JMeter log: epoch milliseconds, or dates in the formats that JMeter writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

# Between 2000 and 2100: seconds, microseconds and places of other columns fall outside.
EARLIEST_MS, LATEST_MS = 946_684_800_000, 4_102_444_800_000
ALLOWED = (
    "epoch milliseconds of the years 2000 to 2099, or a date such as 2026-11-25 12:30:45.123, "
    "2026/11/25 12:30:45, 11/25/26 12:30:45 (month first) or 2026-11-25T12:30:45Z; "
    "for others give the timestamp format, e.g. 'dd.MM.yyyy HH:mm:ss'"
)
Reader = Callable[[str], float]

_DATE = re.compile(
    r"(?:(?P<y>\d{4})[-/.](?P<m>\d\d?)[-/.](?P<d>\d\d?)|(?P<m2>\d\d?)/(?P<d2>\d\d?)/(?P<y2>\d{4}|\d\d))"
    r"[ T](?P<H>\d\d?):(?P<M>\d\d):(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?"
    r" ?(?P<z>Z|[+-]\d\d:?\d\d)?"
)
_PIECE = re.compile(r"'(?P<quoted>[^']*)'|(?P<letters>([a-zA-Z])\3*)|(?P<other>[^a-zA-Z'])")
# Letters of Java's SimpleDateFormat, which jmeter.save.saveservice.timestamp_format takes.
_JAVA = {
    "yyyy": r"(?P<y>\d{4})",
    "yy": r"(?P<y2>\d\d)",
    "MM": r"(?P<m>\d\d)",
    "M": r"(?P<m>\d\d?)",
    "dd": r"(?P<d>\d\d)",
    "d": r"(?P<d>\d\d?)",
    "HH": r"(?P<H>\d\d)",
    "H": r"(?P<H>\d\d?)",
    "mm": r"(?P<M>\d\d)",
    "ss": r"(?P<S>\d\d)",
    "SSS": r"(?P<f>\d{3})",
    "Z": r"(?P<z>[+-]\d{4})",
    "X": r"(?P<z>Z|[+-]\d\d(?::?\d\d)?)",
    "XXX": r"(?P<z>Z|[+-]\d\d:\d\d)",
}


def epoch_ms(text: str) -> float:
    """Epoch milliseconds as text.

    Raises:
        ValueError: it is not a number, or not of the years 2000 to 2099.
    """
    value = float(text)
    if not EARLIEST_MS <= value < LATEST_MS:
        raise ValueError(text)
    return value


def is_moment(text: str) -> bool:
    """Whether a text reads as a moment without being told its format."""
    try:
        reader_for(text)(text)
    except ValueError:
        return False
    return True


def reader_for(example: str, pattern: str = "", zone: tzinfo = UTC) -> Reader:
    """How to read moments that look like ``example``: text -> epoch milliseconds.

    ``pattern`` is a ``timestamp_format`` of JMeter (Java's SimpleDateFormat); ``zone`` is assumed
    where a date tells none. The reader raises ValueError for a text that is not such a moment.

    Raises:
        ValueError: the pattern has letters that are not read here, or names no date.
    """
    if pattern and pattern != "ms":
        return _dates(re.compile(_expression(pattern)), zone)
    if re.fullmatch(r"\d+(\.\d+)?([eE]\+?\d+)?", example.strip()):
        return epoch_ms
    return _dates(_DATE, zone)


def _dates(expression: re.Pattern[str], zone: tzinfo) -> Reader:
    def read(text: str) -> float:
        found = expression.fullmatch(text.strip())
        if not found:
            raise ValueError(text)
        value = _moment(found.groupdict(), zone).timestamp() * 1000
        if not EARLIEST_MS <= value < LATEST_MS:
            raise ValueError(text)
        return round(value, 3)

    return read


def _moment(parts: dict[str, str | None], zone: tzinfo) -> datetime:
    def number(*names: str) -> int:
        return next((int(value) for name in names if (value := parts.get(name))), 0)

    year = number("y", "y2")
    fraction = (parts.get("f") or "").ljust(6, "0")[:6]
    return datetime(
        year + 2000 if year < 100 else year,
        number("m", "m2"),
        number("d", "d2"),
        number("H"),
        number("M"),
        number("S"),
        int(fraction or 0),
        tzinfo=_zone(parts.get("z")) or zone,
    )


def _zone(text: str | None) -> tzinfo | None:
    if not text:
        return None
    return UTC if text == "Z" else datetime.strptime(text.ljust(5, "0"), "%z").tzinfo


def _expression(pattern: str) -> str:
    """A Java date pattern as a regular expression."""
    parts = []
    for piece in _PIECE.finditer(pattern):
        quoted, letters, other = piece["quoted"], piece["letters"], piece["other"]
        if letters and letters not in _JAVA:
            raise ValueError(letters)
        parts.append(_JAVA[letters] if letters else re.escape(quoted or other or ""))
    expression = "".join(parts)
    if not all(f"?P<{name}" in expression for name in "ymdHM"):
        raise ValueError(pattern)
    return expression
