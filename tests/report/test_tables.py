from __future__ import annotations

import pytest

from twinserve.analysis.comparison import Comparison, Estimate
from twinserve.report.numbers import (
    format_interval,
    format_list,
    format_number,
    format_share,
    format_signed,
)
from twinserve.report.tables import count_rows, measure_groups

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (55_861.4, "55,861"),
        (99.96, "100"),
        (83.04, "83.0"),
        (9.996, "10.0"),
        (0.3812, "0.381"),
        (0.0, "0.000"),
        (-0.0001, "0.000"),
        (-5.0, f"{MINUS}5.00"),
    ],
)
def test_numbers_have_about_three_digits(value: float, text: str) -> None:
    assert format_number(value).replace("-", "") == text


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "+2.00"), (-2.0, f"{MINUS}2.00"), (0.0, "0.000")]
)
def test_differences_carry_their_sign(value: float, text: str) -> None:
    assert format_signed(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(1.0, 2.0, "1.00 to 2.00"), (None, 2.0, f"{DASH} to 2.00"), (None, None, DASH)],
)
def test_a_missing_limit_is_a_dash(low: float | None, high: float | None, text: str) -> None:
    assert format_interval(Estimate(1.5, low, high)) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [(0.0, "0 %"), (0.2, "less than 1 %"), (25.0, "25 %"), (99.6, "over 99 %"), (100.0, "100 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_all(part: float, text: str) -> None:
    assert format_share(part, 100) == text


def test_lists_read_as_language() -> None:
    assert [format_list(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_the_tables_hold_the_comparisons_numbers(whole_comparison: Comparison) -> None:
    groups = {group.title: group for group in measure_groups(whole_comparison)}
    assert len(groups) == 6
    elapsed = whole_comparison.deployments["container"].elapsed_ms
    assert elapsed
    cells = groups["Response time (elapsed)"].rows[0].cells
    assert cells[0].startswith(format_number(elapsed.mean))
    assert cells[1:] == tuple(
        format_number(v) for v in (elapsed.p50, elapsed.p90, elapsed.p95, elapsed.p99, elapsed.max)
    )
    mean = whole_comparison.differences["elapsed_ms"].mean
    cell = groups["Response time (elapsed)"].differences[0]
    assert cell.estimate == format_signed(mean.estimate)
    assert cell.interval == format_interval(mean, signed=True)


def test_requests_errors_and_throughput_are_counted_by_side(whole_comparison: Comparison) -> None:
    for row in count_rows(whole_comparison):
        summary = whole_comparison.deployments[row.side]
        assert row.requests == f"{summary.requests:,}"
        assert row.errors == f"{summary.errors:,}"
        assert row.throughput == format_number(summary.throughput_rps)
