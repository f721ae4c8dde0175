from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage, stats

from twinserve.errors import UsageError
from twinserve.training.distance import (
    Descriptors,
    Distances,
    band,
    enlarged,
    level_distances,
    projected_distances,
    sliced_wasserstein,
)

BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def test_the_pyramid_adds_up_to_the_pictures_again() -> None:
    pictures = torch.rand(3, 3, 64, 64, dtype=torch.float64)
    bands = [band(pictures, level) for level in range(3)]
    assert [level.shape[-1] for level in bands] == [64, 32, 16]
    rebuilt = bands[-1]
    for level in reversed(bands[:-1]):
        rebuilt = enlarged(rebuilt) + level
    assert torch.allclose(rebuilt, pictures, atol=1e-12)


def test_the_pyramid_is_the_one_that_scipy_computes() -> None:
    pictures = np.random.default_rng(0).random((2, 3, 64, 64))
    for level, expected in enumerate(_pyramid(pictures)):
        assert np.allclose(band(torch.from_numpy(pictures), level).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("side", [16, 64])
def test_each_level_is_what_an_independent_computation_gives(side: int) -> None:
    """Pyramid by scipy, patches and normalisation by loops, distances by scipy, in 64 bits."""
    random = np.random.default_rng(8)
    real = random.integers(256, size=(6, 3, side, side), dtype=np.uint8)
    fake = ndimage.gaussian_filter(random.integers(256, size=real.shape), (0, 0, 1, 1))
    found = sliced_wasserstein(real, fake.astype(np.uint8), seed=3)
    expected = _independent(real, fake.astype(np.uint8), seed=3)
    assert found.levels == pytest.approx(expected, rel=1e-5)


def test_projected_distances_are_those_that_scipy_computes() -> None:
    random = np.random.default_rng(1)
    ours = random.standard_normal((500, 12)).astype(np.float32)
    theirs = (1.3 * random.standard_normal((500, 12)) + 0.2).astype(np.float32)
    directions = np.random.default_rng(7).standard_normal((40, 12), np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.mean([stats.wasserstein_distance(ours @ d, theirs @ d) for d in directions])
    found = projected_distances(_plain(ours), [_plain(theirs)], np.random.default_rng(7), 40)
    assert found == pytest.approx([expected], rel=1e-4)


def test_a_set_in_another_order_is_at_distance_zero() -> None:
    random = np.random.default_rng(2)
    ours = random.standard_normal((300, 147)).astype(np.float32)
    sets = _plain(ours), [_plain(random.permutation(ours))]
    assert projected_distances(*sets, random) == pytest.approx([0], abs=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_distance_depends_neither_on_the_sets_beside_it_nor_on_threads(threads: int) -> None:
    real, one, two = (_blobs(40, seed) for seed in (10, 11, 12))
    alone = [sliced_wasserstein(real, other, 5).levels[0] for other in (one, two)]
    assert level_distances(real, [one, two], 0, 5, threads=threads) == alone


def test_pictures_of_one_colour_in_another_order_are_at_distance_zero() -> None:
    random = np.random.default_rng(3)
    colours = random.integers(256, size=(16, 3, 1, 1), dtype=np.uint8)
    pictures = np.ascontiguousarray(np.broadcast_to(colours, (16, 3, 32, 32)))
    distances = sliced_wasserstein(pictures, random.permutation(pictures), 0)
    assert distances.levels == pytest.approx((0, 0), abs=1e-3)


def test_blur_is_seen_most_at_the_finest_level_and_grows_with_its_radius() -> None:
    sharp, others = _blobs(48, seed=4), _blobs(48, seed=5)
    same = sliced_wasserstein(sharp, others, 0)
    blurred = [sliced_wasserstein(sharp, _blurred(others, radius), 0) for radius in (1, 2, 4)]
    means = [same.mean, *(distances.mean for distances in blurred)]
    assert means == sorted(means)
    assert blurred[0].levels[0] > blurred[0].levels[1]


def test_equal_seeds_give_equal_distances_whatever_their_progress() -> None:
    one, two = _blobs(16, seed=6), _blobs(16, seed=7)
    told: list[float] = []
    first = sliced_wasserstein(one, two, 1, told.append)
    assert first == sliced_wasserstein(one, two, 1)
    assert first != sliced_wasserstein(one, two, 2)
    assert told == sorted(told)
    assert len(told) > 10 and told[-1] == 1


def test_the_mean_is_over_the_levels() -> None:
    assert Distances((5.99, 4.28, 12.56)).mean == pytest.approx(7.61)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        ((4, 3, 16, 16), (5, 3, 16, 16), r"\(4, 3, 16, 16\) and \(5, 3, 16, 16\)"),
        ((4, 3, 8, 8), (4, 3, 8, 8), "a side of 16, 32, 64"),
        ((4, 3, 24, 24), (4, 3, 24, 24), r"\(3, 24, 24\)"),
        ((4, 1, 16, 16), (4, 1, 16, 16), r"\(1, 16, 16\)"),
    ],
)
def test_sets_that_cannot_be_compared_are_refused(
    real: tuple[int, ...], fake: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        sliced_wasserstein(np.zeros(real, np.uint8), np.zeros(fake, np.uint8), 0)


def _blobs(count: int, seed: int) -> NDArray[np.uint8]:
    """Noise with structure at every scale of 32x32 pictures."""
    noise = np.random.default_rng(seed).standard_normal((count, 3, 32, 32))
    rough = ndimage.gaussian_filter(noise, (0, 0, 3, 3)) * 8
    return np.clip(128 + 40 * (noise + rough), 0, 255).astype(np.uint8)


def _blurred(pictures: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    filtered = [
        Image.fromarray(p.transpose(1, 2, 0)).filter(ImageFilter.GaussianBlur(radius))
        for p in pictures
    ]
    return np.stack([np.asarray(p).transpose(2, 0, 1) for p in filtered])


def _plain(patches: NDArray[np.float32]) -> Descriptors:
    """Descriptors that need no scaling."""
    size = patches.shape[1]
    mean, deviation = (torch.full((size,), x, dtype=torch.float64) for x in (0, 1))
    return Descriptors(torch.from_numpy(patches), mean, deviation)


def _pyramid(pictures: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    bands = []
    while pictures.shape[-1] > 16:
        coarser = ndimage.convolve(pictures, BINOMIAL[None, None], mode="mirror")[..., ::2, ::2]
        spread = np.zeros_like(pictures)
        spread[..., ::2, ::2] = coarser
        bands.append(pictures - ndimage.convolve(spread, 4 * BINOMIAL[None, None], mode="mirror"))
        pictures = coarser
    return [*bands, pictures]


def _independent(real: NDArray[np.uint8], fake: NDArray[np.uint8], seed: int) -> list[float]:
    levels = zip(_pyramid(real.astype(float)), _pyramid(fake.astype(float)), strict=True)
    distances = []
    for level, bands in enumerate(levels):
        random = np.random.default_rng((seed, level))
        ours, theirs = (_normalised_patches(band, random) for band in bands)
        directions = random.standard_normal((512, 147), np.float32).astype(float)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        found = [stats.wasserstein_distance(ours @ d, theirs @ d) for d in directions]
        distances.append(1000 * float(np.mean(found)))
    return distances


def _normalised_patches(
    bands: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    count, _, side, _ = bands.shape
    rows = random.integers(side - 6, size=(count, 128))
    columns = random.integers(side - 6, size=(count, 128))
    patches = np.array(
        [
            bands[k, :, row : row + 7, column : column + 7]
            for k in range(count)
            for row, column in zip(rows[k], columns[k], strict=True)
        ]
    )
    patches -= patches.mean(axis=(0, 2, 3), keepdims=True)
    patches /= patches.std(axis=(0, 2, 3), keepdims=True)
    return patches.reshape(len(patches), -1)
