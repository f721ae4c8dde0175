"""The trend test: steady series are left alone, leaks are found, outliers do not decide."""

import numpy as np
import pytest

from twinserve.analysis.trend import effective_size, line, trend


def noise(rng, n, phi=0.0, sigma=0.2):
    """Log-normal times whose logarithm is AR(1)."""
    z = rng.normal(size=n + 200) * np.sqrt(1 - phi**2)
    for i in range(1, z.size):
        z[i] += phi * z[i - 1]
    return 100 * np.exp(sigma * z[200:])


@pytest.mark.parametrize(("n", "phi"), [(100, 0.0), (300, 0.5), (1000, 0.5)])
def test_a_steady_series_is_seldom_said_to_drift(n, phi):
    """METHOD measured 3 to 6 % of false alarms; 300 series cannot show above 10 % by chance."""
    rng = np.random.default_rng(n)
    found = [trend(noise(rng, n, phi)) for _ in range(300)]
    alarms = sum(bool(t and t.is_significant) for t in found)
    assert alarms / 300 <= 0.10


def test_a_short_and_strongly_dependent_series_is_undetermined_and_not_a_drift():
    rng = np.random.default_rng(3)
    found = [trend(noise(rng, 100, 0.9)) for _ in range(200)]
    assert sum(t is None for t in found) > 150
    assert sum(bool(t and t.is_significant) for t in found) <= 12


def test_a_random_walk_is_no_drift():
    rng = np.random.default_rng(4)
    walks = [100 * np.exp(0.05 * np.cumsum(rng.normal(size=100))) for _ in range(300)]
    alarms = sum(bool((t := trend(walk)) and t.is_significant) for walk in walks)
    assert alarms / 300 <= 0.06


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_a_rise_of_half_is_found_with_its_size(phi):
    rng = np.random.default_rng(5)
    rising = noise(rng, 1000, phi) * np.linspace(1, 1.5, 1000)
    found = trend(rising)
    assert found.is_significant
    assert found.size == pytest.approx(0.5, abs=0.15)


def test_a_leak_in_a_straight_line_is_found_even_where_the_rows_depend_on_each_other():
    leak = 2400 + 91 * np.arange(100) + 200 * np.sin(np.arange(100) / 8)
    assert effective_size(leak) < 20
    found = trend(leak)
    assert found.is_significant
    assert "random walk" in found.basis
    assert line(leak).slope == pytest.approx(91, abs=3)
    assert line(leak).r_squared > 0.98


def test_outliers_do_not_decide():
    rng = np.random.default_rng(6)
    steady = noise(rng, 500)
    steady[-5:] *= 50
    assert not trend(steady).is_significant
    assert abs(line(steady).slope) < 0.05


def test_effective_size_of_independent_and_of_dependent_rows():
    rng = np.random.default_rng(7)
    assert effective_size(noise(rng, 2000)) > 1600
    # AR(1) with 0.9: n (1 - phi) / (1 + phi) = 105
    assert 50 < effective_size(noise(rng, 2000, 0.9)) < 160
    assert effective_size(np.full(50, 7.0)) == 50


def test_equal_values_and_tiny_series_are_no_drift():
    flat = trend(np.full(100, 7.0))
    assert not flat.is_significant
    assert flat.size == 0
    assert trend(np.array([1.0, 2.0, 3.0])) is None
    assert line(np.array([1.0, 2.0, 3.0])).slope == pytest.approx(1)
