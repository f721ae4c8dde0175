from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage, stats

from twinserve.errors import UsageError
from twinserve.training.distance import (
    Distances,
    enlarged,
    generate_pictures,
    laplacian_pyramid,
    projected_distance,
    sliced_wasserstein,
)
from twinserve.training.networks import Generator, NetworkConfig

BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def test_the_pyramid_adds_up_to_the_pictures_again() -> None:
    pictures = torch.rand(3, 3, 64, 64, dtype=torch.float64)
    bands = laplacian_pyramid(pictures, 3)
    assert [band.shape[-1] for band in bands] == [64, 32, 16]
    rebuilt = bands[-1]
    for band in reversed(bands[:-1]):
        rebuilt = enlarged(rebuilt) + band
    assert torch.allclose(rebuilt, pictures, atol=1e-12)


def test_the_pyramid_is_the_one_that_scipy_computes() -> None:
    picture = np.random.default_rng(0).random((1, 3, 32, 32))
    coarser = ndimage.convolve(picture, BINOMIAL[None, None], mode="mirror")[..., ::2, ::2]
    spread = np.zeros_like(picture)
    spread[..., ::2, ::2] = coarser
    band = picture - ndimage.convolve(spread, 4 * BINOMIAL[None, None], mode="mirror")
    ours = laplacian_pyramid(torch.from_numpy(picture), 2)
    assert np.allclose(ours[0].numpy(), band, atol=1e-12)
    assert np.allclose(ours[1].numpy(), coarser, atol=1e-12)


def test_the_projected_distance_is_the_one_that_scipy_computes() -> None:
    random = np.random.default_rng(1)
    ours = random.standard_normal((500, 12)).astype(np.float32)
    theirs = (1.3 * random.standard_normal((500, 12)) + 0.2).astype(np.float32)
    directions = np.random.default_rng(7).standard_normal((40, 12), np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = np.mean([stats.wasserstein_distance(ours @ d, theirs @ d) for d in directions])
    found = projected_distance(ours, theirs, np.random.default_rng(7), 40)
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_set_in_another_order_is_at_distance_zero() -> None:
    random = np.random.default_rng(2)
    ours = random.standard_normal((300, 147)).astype(np.float32)
    assert projected_distance(ours, random.permutation(ours), random) == pytest.approx(0, abs=1e-6)


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
    told: list[tuple[int, int]] = []
    first = sliced_wasserstein(one, two, 1, lambda *progress: told.append(progress))
    assert first == sliced_wasserstein(one, two, 1)
    assert first != sliced_wasserstein(one, two, 2)
    assert told == [(1, 2), (2, 2)]


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


def test_generated_pictures_depend_on_the_seed_and_not_on_the_batch() -> None:
    generator = Generator(NetworkConfig(latent=8, feature_maps=(8, 8, 4)))
    pictures = generate_pictures(generator, 10, seed=3, batch=4)
    assert pictures.shape == (10, 3, 16, 16)
    again = generate_pictures(generator, 10, seed=3, batch=10)
    assert np.abs(pictures.astype(int) - again).max() <= 1
    assert (pictures != generate_pictures(generator, 10, seed=4)).any()


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
