"""Numbers as people read them: about three significant digits, a true minus sign."""

from __future__ import annotations

from twinserve.analysis.comparison import Estimate, Summary

UNDETERMINED = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def format_number(value: float) -> str:
    """1234.6 -> '1,235', 83.04 -> '83.0', 0.3812 -> '0.381'; a minus is U+2212."""
    size = abs(value)
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
    text = f"{size:,.{digits}f}"
    return text if float(text.replace(",", "")) == 0 or value > 0 else f"{MINUS}{text}"


def format_signed(value: float) -> str:
    """As :func:`format_number`, with a plus before what is above zero."""
    text = format_number(value)
    return text if value <= 0 or not text.strip("0.,") else f"+{text}"


def format_limit(value: float | None, signed: bool = False) -> str:
    if value is None:
        return UNDETERMINED
    return format_signed(value) if signed else format_number(value)


def format_interval(estimate: Estimate, signed: bool = False) -> str:
    """'21.0 to 52.0'; a limit that the data cannot give is a dash."""
    if estimate.low is None and estimate.high is None:
        return UNDETERMINED
    return f"{format_limit(estimate.low, signed)} to {format_limit(estimate.high, signed)}"


def format_mean(summary: Summary) -> str:
    if summary.std is None:
        return f"{format_number(summary.mean)} ± {UNDETERMINED}"
    return f"{format_number(summary.mean)} ± {format_number(summary.std)}"


def format_quantity(value: float, unit: str) -> str:
    """A number with its unit, held together by a no-break space."""
    return f"{format_number(value)}\N{NO-BREAK SPACE}{unit}"


def format_count(count: int, one: str, many: str | None = None) -> str:
    """'1 request', '1,200 requests'."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def format_list(words: list[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def format_share(part: float, whole: float) -> str:
    """A share in whole percent, never '0 %' or '100 %' for what is not quite."""
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "less than 1 %"
    if 99 < percent < 100:
        return "over 99 %"
    return f"{percent:.0f} %"
