"""The analysis under a figure: values in, sentences out."""

from __future__ import annotations

from twinserve.analysis.comparison import Comparison, Difference, SideSummary, Summary
from twinserve.report.measures import CONNECT, CPU, ELAPSED, LATENCY, MEMORY, Measure
from twinserve.report.numbers import (
    format_count,
    format_list,
    format_number,
    format_quantity,
    format_share,
)
from twinserve.report.series import FigureData, Series

GROWTH_SHARE = 0.10  # memory that grows by less between first and last block is not worth a word
GROWTH_MIB = 20
OUTLIER = 5  # times the median


def analysis(measure: Measure, comparison: Comparison, data: FigureData) -> list[str]:
    """Sentences about one measure that a reader without statistics understands.

    They name each side's mean and p95, the difference with its interval, and what is notable.
    """
    missing = [side for side in comparison.sides if _summary(comparison, side, measure) is None]
    if missing:
        return [_missing(measure, missing), *_present(measure, comparison)]
    sentences = [_means(measure, comparison), _p95s(measure, comparison)]
    difference = comparison.differences.get(measure.key)
    if difference is not None:
        sentences.append(difference_sentence(measure, comparison.sides, difference))
    return [*sentences, *_notable(measure, comparison, data)]


def difference_sentence(
    measure: Measure, sides: tuple[str, str], difference: Difference
) -> str:
    """The difference of means with its interval, or why nothing can be said."""
    first, second = sides
    mean, interval = difference.mean, _interval(measure, difference)
    if mean.low is None or mean.high is None:
        return (
            f"The means differ by {format_quantity(abs(mean.estimate), measure.unit)}; "
            "how much of that is chance, this run cannot tell: it allows no interval."
        )
    if mean.low <= 0 <= mean.high:
        return (
            f"The means differ by {format_quantity(abs(mean.estimate), measure.unit)}, which may be "
            f"chance: the {interval} includes no difference at all."
        )
    less, more = (second, first) if mean.estimate < 0 else (first, second)
    amount = format_quantity(abs(mean.estimate), measure.unit)
    return (
        f"On average the {less} {_less(measure, amount, more)} ({interval})"
        f"{_times(difference, mean.estimate)}."
    )


def reading_note(data: FigureData) -> str:
    """How to read a figure: what is drawn, and what is not."""
    parts = [_drawn(data.measure)]
    if data.thinned:
        parts.append(_thinned(data))
    if data.beyond:
        counts = [f"{s.beyond:,} ({s.side})" for s in data.series if s.beyond]
        parts.append(
            f"The vertical range leaves out the highest values so that the rest can be read: "
            f"{format_list(counts)} of the {data.measure.rows} "
            f"{'lies' if data.beyond == 1 else 'lie'} above it, "
            f"{'marked by a triangle' if data.beyond == 1 else 'marked by triangles'} at the upper edge."
        )
    return " ".join(parts)


def alternative_text(measure: Measure, comparison: Comparison) -> str:
    """What the figure shows, for those who do not see it."""
    sides = [
        f"{side} mean {format_quantity(summary.mean, measure.unit)}, "
        f"95th percentile {format_quantity(summary.p95, measure.unit)}"
        if (summary := _summary(comparison, side, measure))
        else f"{side} without values"
        for side in comparison.sides
    ]
    return f"{measure.title} over the time of the run: {'; '.join(sides)}."


def _missing(measure: Measure, sides: list[str]) -> str:
    return (
        f"There is no {measure.title[0].lower() + measure.title[1:]} of the "
        f"{' and of the '.join(sides)} in this run, so the two sides cannot be compared here."
        if measure is not CPU
        else f"There are no CPU readings of the {' and of the '.join(sides)} in this run, "
        "so the two sides cannot be compared here."
    )


def _present(measure: Measure, comparison: Comparison) -> list[str]:
    found = [(side, _summary(comparison, side, measure)) for side in comparison.sides]
    return [
        f"The {side} has a mean of {format_quantity(summary.mean, measure.unit)} and a 95th percentile "
        f"of {format_quantity(summary.p95, measure.unit)}."
        for side, summary in found
        if summary
    ]


def _means(measure: Measure, comparison: Comparison) -> str:
    first, second = comparison.sides
    a, b = (format_quantity(_sure(comparison, s, measure).mean, measure.unit) for s in (first, second))
    if measure is ELAPSED:
        return f"The {first} answered in {a} on average, the {second} in {b}."
    if measure is LATENCY:
        return f"The first byte came after {a} on average from the {first}, {b} from the {second}."
    if measure is CONNECT:
        return f"Setting up a connection took {a} on average to the {first}, {b} to the {second}."
    if measure is CPU:
        return f"Under load the {first} used {a} of one core on average, the {second} {b}."
    return f"Under load the {first} held {a} on average, the {second} {b}."


def _p95s(measure: Measure, comparison: Comparison) -> str:
    values = [
        f"{format_quantity(_sure(comparison, side, measure).p95, measure.unit)} ({side})"
        for side in comparison.sides
    ]
    if measure.is_time:
        return f"95 of 100 requests stayed within {format_list(values)}."
    return f"In 95 of 100 readings it was at most {format_list(values)}."


def _interval(measure: Measure, difference: Difference) -> str:
    low, high = difference.mean.low, difference.mean.high
    assert low is not None and high is not None  # noqa: S101 - callers checked
    if low <= 0 <= high:
        ends = f"{format_number(low)} to {format_number(high)}"
    else:
        ends = " to ".join(format_number(v) for v in sorted((abs(low), abs(high))))
    return f"{difference.confidence:.0%} interval {ends}\N{NO-BREAK SPACE}{measure.unit}".replace(
        "%", "\N{NO-BREAK SPACE}%", 1
    )


def _less(measure: Measure, amount: str, more: str) -> str:
    if measure.is_time:
        return f"was {amount} faster than the {more}"
    verb = "used" if measure is CPU else "needed"
    noun = " points" if measure is CPU else ""
    return f"{verb} {amount}{noun} less than the {more}"


def _times(difference: Difference, estimate: float) -> str:
    ratio = difference.ratio_of_means.estimate
    factor = ratio if estimate < 0 else 1 / ratio if ratio else 0
    return f": a factor of {factor:.1f}" if factor >= 1.15 else ""


def _notable(measure: Measure, comparison: Comparison, data: FigureData) -> list[str]:
    notes = {
        ELAPSED.key: [*_failures(comparison), *_cold_starts(comparison, data), *_slowest(comparison)],
        LATENCY.key: _share_of_elapsed(measure, comparison),
        CONNECT.key: _share_of_elapsed(measure, comparison),
        MEMORY.key: [sentence for series in data.series for sentence in _growth(series)],
    }
    return notes.get(measure.key, [])


def _failures(comparison: Comparison) -> list[str]:
    failed = [
        f"{summary.errors:,} of {summary.requests:,} ({side})"
        for side, summary in _summaries(comparison)
        if summary.errors
    ]
    return [f"Requests that failed are not drawn: {format_list(failed)}."] if failed else []


def _cold_starts(comparison: Comparison, data: FigureData) -> list[str]:
    counts = [(side, summary.cold_starts) for side, summary in _summaries(comparison)]
    total = sum(count for _, count in counts)
    if not total:
        return ["No request had to wait for an instance to start."]
    slowest = max((s.slowest_cold for s in data.series if s.slowest_cold is not None), default=None)
    by_side = format_list([f"{side} {count:,}" for side, count in counts if count])
    text = f"{format_count(total, 'request')} waited for an instance to start ({by_side})"
    if slowest is None:
        return [f"{text}."]
    return [f"{text}; the slowest of them took {format_quantity(slowest, 'ms')}."]


def _slowest(comparison: Comparison) -> list[str]:
    return [
        f"The slowest answer of the {side} took {format_quantity(found.max, 'ms')}, "
        f"{format_number(found.max / found.p50)} times its median."
        for side, summary in _summaries(comparison)
        if (found := summary.elapsed_ms) and found.p50 and found.max > OUTLIER * found.p50
    ]


def _share_of_elapsed(measure: Measure, comparison: Comparison) -> list[str]:
    shares = [
        f"{format_share(part.mean, whole.mean)} ({side})"
        for side in comparison.sides
        if (part := _summary(comparison, side, measure))
        and (whole := _summary(comparison, side, ELAPSED))
        and whole.mean
    ]
    return [f"That is {format_list(shares)} of the mean response time."] if shares else []


def _growth(series: Series) -> list[str]:
    first, last = series.first_block, series.last_block
    if first is None or last is None or last - first < max(GROWTH_MIB, GROWTH_SHARE * first):
        return []
    return [
        f"The {series.side} grew from {format_quantity(first, 'MiB')} in its first block to "
        f"{format_quantity(last, 'MiB')} in its last: over a longer run this may become a limit."
    ]


def _drawn(measure: Measure) -> str:
    if measure.is_resource:
        return (
            "Strong lines: the side is under load (its blocks are shaded in its colour); faint lines: "
            "it is not. All instances of a side are added up. The boxes at the right hold the middle "
            "half of the readings under load, the lines 90 % of them, the bar is the median."
        )
    return (
        "Each dot is a request; shaded stretches are the blocks of a side, the bar in each its median. "
        "The boxes at the right hold the middle half of all requests, the lines 90 % of them, the bar is "
        "the median."
    )


def _thinned(data: FigureData) -> str:
    counts = [f"{s.shown:,} of {s.total:,} ({s.side})" for s in data.series if s.shown < s.total]
    return (
        f"Drawn are {format_list(counts)}: every n-th request by time, and beside them every cold start "
        "and the slowest 1 %; numbers, medians and boxes come from all of them."
    )


def _summaries(comparison: Comparison) -> list[tuple[str, SideSummary]]:
    return [(side, comparison.deployments[side]) for side in comparison.sides]


def _summary(comparison: Comparison, side: str, measure: Measure) -> Summary | None:
    found: Summary | None = getattr(comparison.deployments[side], measure.key)
    return found


def _sure(comparison: Comparison, side: str, measure: Measure) -> Summary:
    found = _summary(comparison, side, measure)
    assert found is not None  # noqa: S101 - analysis() looked
    return found
