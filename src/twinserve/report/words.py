"""The analysis under a figure: values in, sentences out."""

from __future__ import annotations

from collections.abc import Mapping

from twinserve.analysis.comparison import Comparison, Difference, SideSummary, Summary
from twinserve.report.measures import CONNECT, CPU, ELAPSED, LATENCY, MEMORY, Measure
from twinserve.report.numbers import (
    format_count,
    format_list,
    format_number,
    format_quantity,
    format_share,
)
from twinserve.report.series import HIGHEST_KEPT, FigureData, Series

GROWTH_SHARE = 0.10  # memory that grows by less between first and last block is not worth a word
GROWTH_MIB = 20
OUTLIER = 5  # times the median


def analysis(measure: Measure, comparison: Comparison, data: FigureData) -> list[str]:
    """Sentences about one measure that a reader without statistics understands.

    They name each side's mean and p95, the difference with its interval, and what is notable.
    """
    found = {side: _summary(comparison, side, measure) for side in comparison.sides}
    present = {side: summary for side, summary in found.items() if summary}
    if len(present) < len(found):
        missing = [side for side in found if side not in present]
        return [_missing(measure, missing), *_alone(measure, present)]
    sentences = [_means(measure, present), _p95s(measure, present)]
    difference = comparison.differences.get(measure.key)
    if difference is not None:
        sentences.append(difference_sentence(measure, comparison.sides, difference))
    return [*sentences, *_notable(measure, comparison, data)]


def difference_sentence(measure: Measure, sides: tuple[str, str], difference: Difference) -> str:
    """The difference of means with its interval, or why nothing can be said."""
    mean = difference.mean
    unit = "% points" if measure is CPU else measure.unit
    amount = format_quantity(abs(mean.estimate), unit)
    if mean.low is None or mean.high is None:
        return (
            f"The means differ by {amount}; how much of that is chance, this run cannot tell: "
            "it allows no interval."
        )
    percent = f"{100 * difference.confidence:g}\N{NO-BREAK SPACE}% interval"
    if mean.low <= 0 <= mean.high:
        return (
            f"The means differ by {amount}, which may be chance: the {percent} "
            f"{_ends(mean.low, mean.high, unit)} includes no difference at all."
        )
    less, more = sides if mean.estimate > 0 else sides[::-1]
    nearer, farther = sorted((abs(mean.low), abs(mean.high)))
    return (
        f"On average {_less(measure, less, amount, more)} ({percent} "
        f"{_ends(nearer, farther, unit)}){_times(difference)}."
    )


def drawing_note(data: FigureData) -> str:
    """What a figure leaves out; empty where it shows every value."""
    return " ".join(
        ([_thinned(data)] if data.thinned else []) + ([_cut(data)] if data.beyond else [])
    )


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
        f"This run has no values of the {' and of the '.join(sides)} for this measure "
        f"({measure.title}), so the two sides cannot be compared here."
    )


def _alone(measure: Measure, present: Mapping[str, Summary]) -> list[str]:
    return [
        f"The {side} has a mean of {format_quantity(summary.mean, measure.unit)} and a 95th "
        f"percentile of {format_quantity(summary.p95, measure.unit)}."
        for side, summary in present.items()
    ]


def _means(measure: Measure, present: Mapping[str, Summary]) -> str:
    first, second = present
    a, b = (format_quantity(summary.mean, measure.unit) for summary in present.values())
    if measure is ELAPSED:
        return f"The {first} answered in {a} on average, the {second} in {b}."
    if measure is LATENCY:
        return f"The first byte came after {a} on average from the {first}, {b} from the {second}."
    if measure is CONNECT:
        return f"Setting up a connection took {a} on average to the {first}, {b} to the {second}."
    if measure is CPU:
        return f"Under load the {first} used {a} of one core on average, the {second} {b}."
    return f"Under load the {first} held {a} on average, the {second} {b}."


def _p95s(measure: Measure, present: Mapping[str, Summary]) -> str:
    values = format_list(
        [
            f"{format_quantity(summary.p95, measure.unit)} ({side})"
            for side, summary in present.items()
        ]
    )
    if measure.is_time:
        return f"95 of 100 requests stayed within {values}."
    return f"In 95 of 100 readings it was at most {values}."


def _ends(low: float, high: float, unit: str) -> str:
    return f"{format_number(low)} to {format_quantity(high, unit)}"


def _less(measure: Measure, less: str, amount: str, more: str) -> str:
    if measure is CONNECT:
        return f"connecting to the {less} took {amount} less than to the {more}"
    if measure.is_time:
        return f"the {less} was {amount} faster than the {more}"
    verb = "used" if measure is CPU else "needed"
    return f"the {less} {verb} {amount} less than the {more}"


def _times(difference: Difference) -> str:
    """The ratio of the larger mean to the smaller, where it is worth a word."""
    ratio = difference.ratio_of_means.estimate if difference.ratio_of_means else 0
    factor = 1 / ratio if 0 < ratio < 1 else ratio
    return f": a factor of {factor:.1f}" if factor >= 1.15 else ""


def _notable(measure: Measure, comparison: Comparison, data: FigureData) -> list[str]:
    notes = {
        ELAPSED.key: [
            *_failures(comparison),
            *_cold_starts(comparison, data),
            *_slowest(comparison),
        ],
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
    """Requests of the blocks alone: the report's numbers leave out what waited in the warm-up."""
    if any(summary.cold_starts is None for _, summary in _summaries(comparison)):
        return []  # logs do not tell
    waited = [series for series in data.series if series.cold]
    if not waited:
        return ["In the blocks, no request had to wait for an instance to start."]
    total = sum(series.cold for series in waited)
    slowest = max(series.slowest_cold or 0 for series in waited)
    by_side = format_list([f"{series.cold:,} ({series.side})" for series in waited])
    return [
        f"In the blocks, {format_count(total, 'request')} waited for an instance to start: "
        f"{by_side}; the slowest of them took {format_quantity(slowest, 'ms')}."
    ]


def _slowest(comparison: Comparison) -> list[str]:
    return [
        f"The slowest answer of the {side} took {format_quantity(found.max, 'ms')}, "
        f"{format_number(found.max / found.p50)} times its median."
        for side, summary in _summaries(comparison)
        if (found := summary.elapsed_ms) and found.p50 and found.max > OUTLIER * found.p50
    ]


def _share_of_elapsed(measure: Measure, comparison: Comparison) -> list[str]:
    shares = [
        (side, format_share(part.mean, whole.mean))
        for side in comparison.sides
        if (part := _summary(comparison, side, measure))
        and (whole := _summary(comparison, side, ELAPSED))
        and whole.mean
    ]
    part_of = "Latency" if measure is LATENCY else "Connecting"
    if len({share for _, share in shares}) == 1:
        return [f"{part_of} makes up {shares[0][1]} of the mean response time on both sides."]
    words = format_list([f"{share} ({side})" for side, share in shares])
    return [f"{part_of} makes up {words} of the mean response time."] if shares else []


def _growth(series: Series) -> list[str]:
    first, last = series.first_block, series.last_block
    if first is None or last is None or last - first < max(GROWTH_MIB, GROWTH_SHARE * first):
        return []
    return [
        f"The {series.side} grew from {format_quantity(first, 'MiB')} in its first block to "
        f"{format_quantity(last, 'MiB')} in its last: over a longer run this may become a limit."
    ]


def _thinned(data: FigureData) -> str:
    counts = [f"{s.shown:,} of {s.total:,} ({s.side})" for s in data.series if s.shown < s.total]
    return (
        f"Drawn are {format_list(counts)} {data.measure.rows}: every n-th by time, and the "
        f"{HIGHEST_KEPT} highest; numbers, medians and boxes come from all of them."
    )


def _cut(data: FigureData) -> str:
    counts = format_list([f"{s.beyond:,} ({s.side})" for s in data.series if s.beyond])
    return (
        "Values above the range, marked by \N{BLACK UP-POINTING TRIANGLE} at its edge so that the "
        f"rest can be read: {counts}."
    )


def _summaries(comparison: Comparison) -> list[tuple[str, SideSummary]]:
    return [(side, comparison.deployments[side]) for side in comparison.sides]


def _summary(comparison: Comparison, side: str, measure: Measure) -> Summary | None:
    found: Summary | None = getattr(comparison.deployments[side], measure.key)
    return found
