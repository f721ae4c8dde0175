"""How the numbers of a comparison are said in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from twinserve.analysis.comparison import Estimate


def listed(words: Sequence[str], joint: str = "and") -> str:
    """``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {joint} {words[-1]}"


def time(ms: float) -> str:
    """A time in three digits or so: ``8.4 ms``, ``84 ms``, ``1.25 s``."""
    size = abs(ms)
    if size >= 999.5:
        return f"{ms / 1000:.2f} s"
    return f"{ms:.0f} ms" if size >= 20 else f"{ms:.1f} ms" if size >= 1 else f"{ms:.2f} ms"


def share(value: float) -> str:
    """A share as a percentage: ``0.42 %``, ``97 %``."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 10 or not percent else f"{percent:.2g} %"


def change(value: float) -> str:
    """A relative change with its sign: ``+12 %``, ``-0.5 %``."""
    return f"{'-' if value < 0 else '+'}{share(abs(value))}"


def times_as(ratio: float) -> str:
    """A ratio above 1: ``1.08 times``, ``1.3 times``, ``21 times``."""
    digits = 0 if ratio >= 9.95 else 1 if ratio >= 1.15 else 2
    return f"{ratio:.{digits}f} times"


def signed_time(ms: float) -> str:
    """A change of a time: ``+91 ms``, ``-0.20 ms``."""
    return f"{'+' if ms > 0 else ''}{time(ms)}"


def span(interval: Estimate) -> str:
    """An interval of times: ``80 ms to 88 ms``; what it lacks is said."""
    low, high = (None if limit is None else time(limit) for limit in (interval.low, interval.high))
    if low is None and high is None:
        return "no interval"
    return f"{low or 'no lower limit'} to {high or 'no upper limit'}"


def count(number: int, thing: str) -> str:
    """``1 request``, ``1,200 requests``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def money(value: float, currency: str) -> str:
    """An amount with its currency: ``12.30 USD``, ``1,234 USD``, ``0.0021 USD``."""
    size = abs(value)
    if size >= 999.5:
        return f"{value:,.0f} {currency}"
    if not value or size >= 0.0995:
        return f"{value:,.2f} {currency}"
    return f"{value:.2g} {currency}"
