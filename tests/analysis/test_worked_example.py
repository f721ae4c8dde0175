"""The numbers of docs/method.md's example are what the code gives."""

from pathlib import Path

import numpy as np
import pytest

from twinserve.analysis import statistics
from twinserve.analysis.estimators import mean_of, share_limits, t_point, welch_degrees
from twinserve.analysis.statistics import Finding

METHOD = Path(__file__).parents[2] / "docs" / "method.md"
CONTAINER = (102, 98, 101, 99, 103, 97)
FUNCTION = (88, 92, 90, 86, 91, 93)
COUNTS = (55, 46, 52, 44, 58, 49, 51, 47, 53, 45)


def side(means: tuple[int, ...]) -> list[np.ndarray]:
    """Blocks of 100 rows with these means."""
    rows = np.tile([-10.0, 10.0], 50)
    return [mean + rows for mean in means]


def test_means_and_their_difference() -> None:
    first, second = side(CONTAINER), side(FUNCTION)
    text = METHOD.read_text(encoding="utf-8")
    for means in (CONTAINER, FUNCTION):
        assert ", ".join(map(str, means)) in text
        assert f"{np.std(means, ddof=1):.2f}" in text
        assert f"{mean_of(side(means)).error:.2f} ms" in text
    found = statistics.difference_of_means(first, second)
    minus = "\N{MINUS SIGN}"
    assert f"**{minus}{-found.low:.1f} to {minus}{-found.high:.1f} ms**" in text
    degrees = welch_degrees(mean_of(first), mean_of(second))
    assert f"({degrees:.1f} degrees of\nfreedom) it is {t_point(degrees, 0.95):.2f}" in text
    assert f"± {(found.high - found.low) / 2:.2f} ms" in text
    assert statistics.classify(found, 90.0) is Finding.SECOND
    ratio = statistics.ratio_of_means(first, second)
    assert ratio
    assert (
        f"is {ratio.estimate:.2f}, with an interval of {ratio.low:.2f} to {ratio.high:.2f}" in text
    )


def test_a_median() -> None:
    text = METHOD.read_text(encoding="utf-8")
    assert f"{', '.join(map(str, COUNTS[:-1]))} and {COUNTS[-1]}" in text
    variance = 10 / 9 * sum((count - 50) ** 2 for count in COUNTS) / 1000**2
    t = t_point(9, 0.95)
    worth = 0.25 / variance * (1.959964 / t) ** 2
    assert f"those of {worth:.0f} independent rows" in text
    low, high = share_limits(0.5, variance, t, 0.95)
    assert f"{100 * low:.1f} % of the rows" in text
    assert f"{100 * high:.1f} % do" in text
    rows = [np.r_[np.zeros(count), np.full(100 - count, 2.0)] for count in COUNTS]
    assert statistics.quantile_interval(rows, 0.5).estimate == pytest.approx(1.0)
