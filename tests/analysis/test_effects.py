"""Effect sizes have their textbook values, and errors that come from the blocks."""

import numpy as np
import pytest
from scipy import stats

from twinserve.analysis.effects import standardised_difference, superiority


def sides(seed, blocks=10, rows=200, shift=0.5, level=0.0):
    rng = np.random.default_rng(seed)
    return [
        [
            move + rng.normal(0, 1, rows) + (rng.normal(0, level) if level else 0)
            for _ in range(blocks)
        ]
        for move in (10.0, 10.0 + shift)
    ]


def test_the_effect_size_is_cohens_d_of_all_rows():
    first, second = sides(1)
    a, b = np.concatenate(first), np.concatenate(second)
    d = (b.mean() - a.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    found = standardised_difference(first, second)
    assert found.estimate == pytest.approx(d)
    assert found.low < d < found.high


def test_with_independent_rows_its_error_is_the_usual_one():
    """Hedges and Olkin: variance (1/n + 1/n) + d^2 / (2 * 2n); within what 400 blocks tell."""
    found = standardised_difference(*sides(2, blocks=400, rows=20))
    error = (found.high - found.low) / 2 / stats.norm.ppf(0.975)
    n = 8000
    assert error == pytest.approx(np.sqrt(2 / n + found.estimate**2 / (4 * n)), rel=0.1)


def test_blocks_that_differ_widen_it():
    narrow = standardised_difference(*sides(3))
    wide = standardised_difference(*sides(3, level=0.5))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_superiority_is_mann_whitneys_u_over_all_pairs_with_ties_as_halves():
    first, second = ([np.round(block, 1) for block in side] for side in sides(4))
    u = stats.mannwhitneyu(np.concatenate(first), np.concatenate(second)).statistic
    assert superiority(first, second).estimate == pytest.approx(u / 2000**2)


def test_with_single_row_blocks_its_error_is_delongs():
    """DeLong's variance of an area under the curve is Obuchowski's with a row a cluster."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(1, 1, 300), rng.normal(0, 1, 200)
    wins = (x[:, None] > y[None, :]).astype(float)
    v = wins.mean(axis=1).var(ddof=1) / 300 + wins.mean(axis=0).var(ddof=1) / 200
    found = superiority([x[i : i + 1] for i in range(300)], [y[i : i + 1] for i in range(200)])
    assert found.estimate == pytest.approx(wins.mean())
    assert (found.high - found.low) / 2 / 1.965 == pytest.approx(np.sqrt(v), rel=0.05)


def test_sides_that_do_not_overlap_win_every_pair_and_stay_within_one():
    found = superiority([np.full(50, 2.0)] * 6, [np.full(50, 1.0)] * 6)
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert 0.95 < found.low < 1


def test_swapping_the_sides_turns_both_effect_sizes():
    first, second = sides(6)
    assert standardised_difference(second, first).estimate == pytest.approx(
        -standardised_difference(first, second).estimate
    )
    assert superiority(second, first).estimate == pytest.approx(
        1 - superiority(first, second).estimate
    )


def test_values_that_never_vary_have_no_effect_size():
    same = [np.full(5, 3.0)] * 6
    assert standardised_difference(same, same) is None
    assert superiority(same, same).estimate == 0.5
    assert standardised_difference([np.ones(1)], [np.ones(1)]) is None


def test_one_block_has_no_limits():
    first, second = sides(7, blocks=1)
    assert standardised_difference(first, second).low is None
    assert superiority(first, second).low is None
