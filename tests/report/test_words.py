from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from twinserve.analysis.comparison import (
    Comparison,
    Difference,
    Estimate,
    SideSummary,
    Strength,
    Summary,
    Verdict,
)
from twinserve.report.measures import CONNECT, CPU, ELAPSED, LATENCY, MEMORY, Measure
from twinserve.report.series import FigureData, Series
from twinserve.report.words import alternative_text, analysis, difference_sentence, drawing_note

SIDES = ("container", "function")
NO_POINTS = pl.DataFrame(schema={"at_s": pl.Float64, "value": pl.Float64, "block": pl.Int64})


def summary(mean: float, p95: float, largest: float = 0) -> Summary:
    return Summary(1200, mean, 1.0, 1.0, mean, p95, p95, p95, max(largest, p95))


def estimate(value: float, low: float | None, high: float | None) -> Estimate:
    return Estimate(value, low, high)


def difference(mean: Estimate, ratio: float | None = 1.6) -> Difference:
    shown = None if ratio is None else estimate(ratio, None, None)
    return Difference(mean, mean, mean, shown, 0.95)


def side(errors: int = 0, **measures: Summary | None) -> SideSummary:
    keys = ("elapsed_ms", "latency_ms", "connect_ms", "process_ms", "cpu_percent", "memory_mib")
    return SideSummary(1209, errors, 1, 30.0, **{key: measures.get(key) for key in keys})


def comparison(
    first: SideSummary, second: SideSummary, differences: dict[str, Difference] | None = None
) -> Comparison:
    verdict = Verdict("undetermined", Strength.PROVISIONAL, "", "", [], "")
    return Comparison(
        sides=SIDES,
        deployments=dict(zip(SIDES, (first, second), strict=True)),
        differences=differences or {},
        gates=[],
        verdict=verdict,
    )


def series(name: str, **changes: float | int | None) -> Series:
    plain = Series(name, NO_POINTS, 1200, 0, 100.0, 100.0, 0, None)
    return replace(plain, **changes)


def data(measure: Measure, first: Series | None = None, second: Series | None = None) -> FigureData:
    pair = (first or series("container"), second or series("function"))
    return FigureData(measure, pair, (), (), 100.0)


def said(sentences: list[str]) -> str:
    return " ".join(sentences).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("mean", "ratio", "sentence"),
    [
        (
            estimate(-23.8, -27.0, -20.5),
            1.57,
            "On average the function was 23.8 ms faster than the container "
            "(95 % interval 20.5 to 27.0 ms): a factor of 1.6.",
        ),
        (
            estimate(12.0, 8.0, 16.0),
            0.5,
            "On average the container was 12.0 ms faster than the function "
            "(95 % interval 8.00 to 16.0 ms): a factor of 2.0.",
        ),
        (
            estimate(3.0, 1.0, 5.0),
            0.97,
            "On average the container was 3.00 ms faster than the function "
            "(95 % interval 1.00 to 5.00 ms).",
        ),
        (
            estimate(1.5, -0.5, 3.5),
            0.98,
            "The means differ by 1.50 ms, which may be chance: the 95 % interval "
            "\N{MINUS SIGN}0.500 to 3.50 ms includes no difference at all.",
        ),
        (
            estimate(-26.1, None, None),
            None,
            "The means differ by 26.1 ms; how much of that is chance, this run cannot tell: "
            "it allows no interval.",
        ),
        (
            estimate(-26.1, None, -3.0),
            1.2,
            "The means differ by 26.1 ms; how much of that is chance, this run cannot tell: "
            "it allows no interval.",
        ),
    ],
)
def test_a_difference_is_a_win_or_chance_or_unknown(
    mean: Estimate, ratio: float | None, sentence: str
) -> None:
    found = difference_sentence(ELAPSED, SIDES, difference(mean, ratio))
    assert said([found]) == sentence


@pytest.mark.parametrize(
    ("measure", "sentence"),
    [
        (CPU, "On average the function used 8.00 % points less than the container"),
        (MEMORY, "On average the function needed 8.00 MiB less than the container"),
        (CONNECT, "On average connecting to the function took 8.00 ms less than to the container"),
    ],
)
def test_other_differences_are_less_not_faster(measure: Measure, sentence: str) -> None:
    found = difference_sentence(measure, SIDES, difference(estimate(-8.0, -9.0, -7.0)))
    assert sentence in said([found])


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (ELAPSED, "The container answered in 120 ms on average, the function in 80.0 ms. "
                  "95 of 100 requests stayed within 180 ms (container) and 95.5 ms (function)."),
        (LATENCY, "The first byte came after 120 ms on average from the container, "
                  "80.0 ms from the function."),
        (CONNECT, "Setting up a connection took 120 ms on average to the container, "
                  "80.0 ms to the function."),
        (CPU, "Under load the container used 120 % of one core on average, the function 80.0 %. "
              "In 95 of 100 readings it was at most 180 % (container) and 95.5 % (function)."),
        (MEMORY, "Under load the container held 120 MiB on average, the function 80.0 MiB."),
    ],
)  # fmt: skip
def test_means_and_p95s_are_the_comparisons(measure: Measure, expected: str) -> None:
    first = side(**{measure.key: summary(120, 180)})
    second = side(**{measure.key: summary(80, 95.5)})
    assert expected in said(analysis(measure, comparison(first, second), data(measure)))


def test_failures_cold_starts_and_outliers_are_noted() -> None:
    first = side(errors=9, elapsed_ms=summary(120, 180))
    second = side(elapsed_ms=summary(80, 95, largest=936))
    cold = series("function", cold=2, slowest_cold=936.0)
    found = said(analysis(ELAPSED, comparison(first, second), data(ELAPSED, second=cold)))
    assert "Requests that failed are not drawn: 9 of 1,209 (container)." in found
    assert (
        "In the blocks, 2 requests waited for an instance to start: 2 (function); "
        "the slowest of them took 936 ms." in found
    )
    assert "The slowest answer of the function took 936 ms, 11.7 times its median." in found
    assert "slowest answer of the container" not in found


def test_a_run_without_cold_starts_says_so() -> None:
    both = side(elapsed_ms=summary(80, 95))
    found = said(analysis(ELAPSED, comparison(both, both), data(ELAPSED)))
    assert "no request had to wait for an instance to start" in found


def test_connecting_is_set_against_the_response_time() -> None:
    first = side(elapsed_ms=summary(100, 120), connect_ms=summary(0.3, 0.4))
    second = side(elapsed_ms=summary(100, 120), connect_ms=summary(25, 30))
    found = said(analysis(CONNECT, comparison(first, second), data(CONNECT)))
    assert "less than 1 % (container) and 25 % (function) of the mean response time" in found


@pytest.mark.parametrize(("last", "grows"), [(423.0, True), (345.0, False), (300.0, False)])
def test_growing_memory_is_named(last: float, grows: bool) -> None:
    both = side(memory_mib=summary(370, 400))
    growing = series("function", first_block=330.0, last_block=last)
    found = said(analysis(MEMORY, comparison(both, both), data(MEMORY, second=growing)))
    assert ("The function grew from 330 MiB in its first block to" in found) == grows


def test_a_missing_side_is_named_and_the_other_one_told() -> None:
    only = comparison(side(elapsed_ms=summary(120, 180)), side())
    found = said(analysis(ELAPSED, only, data(ELAPSED)))
    assert found == (
        "This run has no values of the function for this measure (Response time (elapsed)), "
        "so the two sides cannot be compared here. "
        "The container has a mean of 120 ms and a 95th percentile of 180 ms."
    )
    assert "function without values" in alternative_text(ELAPSED, only)


def test_what_a_figure_leaves_out_is_counted() -> None:
    points = pl.DataFrame({"at_s": [0.0] * 700, "value": [1.0] * 700, "block": [0] * 700})
    first = series("container", points=points, beyond=11)
    second = series("function", total=0)
    note = drawing_note(data(ELAPSED, first, second))
    assert "Drawn are 700 of 1,200 (container) requests" in note
    assert "11 (container)" in note


def test_a_figure_that_shows_everything_needs_no_note() -> None:
    assert (
        drawing_note(data(ELAPSED, series("container", total=0), series("function", total=0))) == ""
    )
