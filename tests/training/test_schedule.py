from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinserve.errors import UsageError
from twinserve.training.schedule import (
    Position,
    averaging_half_life,
    growth,
    learning_rate,
    r1_weight,
)


def test_the_small_budget_is_shared_out_as_it_was_spent() -> None:
    assert growth(1_018_000, 4).parts == (
        (0, False, 60_000),
        (1, True, 50_000),
        (1, False, 50_000),
        (2, True, 80_000),
        (2, False, 110_000),
        (3, True, 80_000),
        (3, False, 140_000),
        (4, True, 80_000),
        (4, False, 368_000),
    )


@settings(deadline=None)
@given(images=st.integers(1, 2_000_000), last=st.integers(0, 5), begun=st.integers(-1, 5))
def test_every_image_has_its_place_and_levels_only_grow(images: int, last: int, begun: int) -> None:
    present = begun if 0 <= begun <= last else None
    schedule = growth(images, last, present)
    assert schedule.images == images
    places = [schedule.at(k * images // 50) for k in range(51)]
    assert all(0 <= position.alpha <= 1 for position in places)
    for before, after in pairwise(places):
        assert (before.level, before.alpha) <= (after.level, after.alpha)
    assert places[-1] == Position(last, 1.0)


def test_a_level_fades_in_from_nothing_to_just_below_all() -> None:
    schedule = growth(160, 1)  # 60 at 4x4, 50 fading, 50 stable
    assert schedule.at(59) == Position(0, 1.0)
    assert schedule.at(60) == Position(1, 0.0)
    assert schedule.at(85) == Position(1, 0.5)
    assert schedule.at(109).alpha == pytest.approx(0.98)
    assert schedule.at(110) == Position(1, 1.0)
    assert schedule.at(10_000) == Position(1, 1.0)


def test_a_level_counts_as_grown_when_it_is_fully_there() -> None:
    assert Position(2, 0.9).grown == 1
    assert Position(2, 1.0).grown == 2
    assert (Position(2, 0.9).part, Position(2, 1.0).part) == ("16 fading", "16 stable")


def test_networks_that_have_grown_already_only_grow_what_is_left() -> None:
    assert {level for level, _, _ in growth(1000, 2, present_level=1).parts} == {2}
    assert growth(1000, 2, present_level=2).parts == ((2, False, 1000),)


def test_networks_cannot_shrink() -> None:
    with pytest.raises(UsageError, match=r"64x64 already and cannot shrink to 16x16; choose"):
        growth(1000, 2, present_level=4)


def test_the_learning_rate_holds_and_then_falls_to_a_tenth() -> None:
    assert learning_rate(0.002, 0.0) == learning_rate(0.002, 0.7) == 0.002
    assert learning_rate(0.002, 0.85) == pytest.approx(0.0011)
    assert learning_rate(0.002, 1.0) == learning_rate(0.002, 1.2) == pytest.approx(0.0002)


def test_the_average_remembers_a_twentieth_of_the_past_and_ten_thousand_images_at_most() -> None:
    assert averaging_half_life(0) == 1
    assert averaging_half_life(1000) == 50
    assert averaging_half_life(10**6) == 10_000


def test_the_penalty_grows_with_the_resolution() -> None:
    assert [r1_weight(4 << level) for level in range(5)] == [0.05, 0.05, 0.05, 0.1, 0.3]


def test_time_left_counts_finer_levels_as_slower() -> None:
    schedule = growth(160, 1)
    # 30 at the measured speed; 100 at 8x8, which is 1400 / 690 times as slow.
    expected = 30 / 10 + 100 * 1400 / 690 / 10
    assert schedule.seconds_left(30, 10) == pytest.approx(expected)
    assert schedule.seconds_left(120, 10) == pytest.approx(4)
    assert schedule.seconds_left(160, 10) == 0
