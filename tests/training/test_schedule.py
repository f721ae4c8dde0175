from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinserve.errors import UsageError
from twinserve.training.presets import PAPER, PRESETS, SMALL, Loss, Preset, r1_weight
from twinserve.training.schedule import Position, growth, learning_rate


def test_the_small_budget_is_shared_out_as_it_was_spent() -> None:
    assert growth(SMALL, 4, 1_018_000).parts == (
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
@given(images=st.integers(1, 2_000_000), last=st.integers(0, 7), begun=st.integers(-1, 7))
def test_every_image_has_its_place_and_levels_only_grow(images: int, last: int, begun: int) -> None:
    present = begun if 0 <= begun <= last else None
    schedule = growth(SMALL, last, images, present)
    assert schedule.images == images
    places = [schedule.at(k * images // 50) for k in range(51)]
    assert all(0 <= position.alpha <= 1 for position in places)
    for before, after in pairwise(places):
        assert (before.level, before.alpha) <= (after.level, after.alpha)
    assert places[-1] == Position(last, 1.0)


def test_a_level_fades_in_from_nothing_to_just_below_all() -> None:
    schedule = growth(SMALL, 1, 160)  # 60 at 4x4, 50 fading, 50 stable
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
    assert {level for level, _, _ in growth(SMALL, 2, 1000, present_level=1).parts} == {2}
    assert growth(SMALL, 2, 1000, present_level=2).parts == ((2, False, 1000),)


def test_networks_cannot_shrink() -> None:
    with pytest.raises(UsageError, match=r"64x64 already and cannot shrink to 16x16; choose"):
        growth(SMALL, 2, 1000, present_level=4)


def test_the_learning_rate_holds_and_then_falls_to_a_tenth() -> None:
    assert learning_rate(0.002, 0.0, 0.3) == learning_rate(0.002, 0.7, 0.3) == 0.002
    assert learning_rate(0.002, 0.85, 0.3) == pytest.approx(0.0011)
    assert learning_rate(0.002, 1.0, 0.3) == learning_rate(0.002, 1.2, 0.3) == pytest.approx(0.0002)


def test_without_a_decay_the_learning_rate_holds_to_the_end() -> None:
    assert learning_rate(0.001, 1.0, 0.0) == learning_rate(0.001, 0.0, 0.0) == 0.001


def test_the_paper_fades_and_stabilises_each_level_over_800_000_images() -> None:
    schedule = growth(PAPER, 7)
    assert schedule.parts[:3] == ((0, False, 800_000), (1, True, 800_000), (1, False, 800_000))
    assert schedule.images == 800_000 + 7 * 1_600_000
    assert growth(PAPER, 7, present_level=6).images == 1_600_000
    assert growth(PAPER, 7, present_level=7).parts == ((7, False, 800_000),)
    assert growth(PAPER, 1, 2400).parts == ((0, False, 800), (1, True, 800), (1, False, 800))


def test_the_paper_preset_is_the_papers() -> None:
    assert (PAPER.latent, PAPER.group, PAPER.loss) == (512, 4, Loss.WGAN_GP)
    assert PAPER.feature_maps == (512, 512, 512, 512, 256, 128, 64, 32)
    assert PAPER.minibatches == (16, 16, 16, 16, 16, 16, 14, 6)
    assert (PAPER.rate, PAPER.decay_share) == (0.001, 0)
    assert PAPER.average_kept(0, 16) == PAPER.average_kept(10**7, 6) == 0.999


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_a_preset_reaches_512_pixels_with_every_number_it_needs(preset: Preset) -> None:
    assert preset.config(8).resolution == 512
    for values in (preset.minibatches, preset.parts, preset.speeds):
        assert len(values) == 8
    assert all(earlier > later for earlier, later in pairwise(preset.speeds))


def test_the_small_budgets_average_forgets_half_in_a_twentieth_of_the_past() -> None:
    assert SMALL.average_kept(1000, 50) == pytest.approx(0.5)
    assert SMALL.average_kept(10**6, 10_000) == pytest.approx(0.5)  # and in 10,000 at most
    assert SMALL.average_kept(0, 1) == pytest.approx(0.5)


def test_the_penalty_grows_with_the_resolution_and_beyond_128_with_the_area() -> None:
    weights = [r1_weight(4 << level) for level in range(8)]
    assert weights == [0.05, 0.05, 0.05, 0.1, 0.3, 1, 4, 16]


def test_time_left_counts_finer_levels_as_slower() -> None:
    schedule = growth(SMALL, 1, 160)
    # 30 at the measured speed; 100 at 8x8, which is 1400 / 690 times as slow.
    expected = 30 / 10 + 100 * 1400 / 690 / 10
    assert schedule.seconds_left(30, 10) == pytest.approx(expected)
    assert schedule.seconds_left(120, 10) == pytest.approx(4)
    assert schedule.seconds_left(160, 10) == 0
