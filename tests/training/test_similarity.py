from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from twinserve.training.similarity import WEIGHTS, mean_similarity, similarity

Array = NDArray[np.float64]


@pytest.mark.parametrize("side", [16, 48, 64, 176])
def test_it_is_what_a_loop_over_windows_computes(side: int) -> None:
    """All five scales have the full window from 176 pixels on; below, it shrinks."""
    ours, theirs = _alike(side, seed=0)
    found = similarity(torch.from_numpy(ours[None]), torch.from_numpy(theirs[None]))
    assert float(found[0]) == pytest.approx(_from_the_paper(ours, theirs), abs=1e-9)


def test_floats_of_32_bits_are_as_good() -> None:
    ours, theirs = (torch.from_numpy(x[None]) for x in _alike(64, seed=1))
    exact, found = similarity(ours, theirs), similarity(ours.float(), theirs.float())
    assert float(found[0]) == pytest.approx(float(exact[0]), abs=1e-5)


def test_a_picture_is_wholly_similar_to_itself() -> None:
    ours, _ = _alike(64, seed=2)
    pictures = np.repeat(ours[None].astype(np.uint8), 4, axis=0)
    assert mean_similarity(pictures) == pytest.approx(1, abs=1e-6)


def test_plain_pictures_differ_by_their_luminance_alone() -> None:
    dark, light = (torch.full((1, 3, 64, 64), x, dtype=torch.float64) for x in (50, 100))
    c1 = (0.01 * 255) ** 2
    expected = ((2 * 50 * 100 + c1) / (50**2 + 100**2 + c1)) ** WEIGHTS[-1]
    assert float(similarity(dark, light)[0]) == pytest.approx(expected, abs=1e-9)


def test_a_negative_has_no_similarity_and_not_an_undefined_one() -> None:
    ours = torch.from_numpy(_alike(64, seed=3)[0][None])
    assert float(similarity(ours, 255 - ours)[0]) == 0


def test_more_noise_means_less_similarity() -> None:
    ours = torch.from_numpy(_alike(64, seed=4)[0][None])
    noise = torch.randn(ours.shape, generator=torch.Generator().manual_seed(0), dtype=ours.dtype)
    found = [float(similarity(ours, ours + amount * noise)[0]) for amount in (0, 5, 20, 80)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_mean_is_over_neighbouring_pairs(threads: int) -> None:
    pictures = np.random.default_rng(5).integers(256, size=(7, 3, 16, 16), dtype=np.uint8)
    pictures[1::2] //= 2
    pairs = [_from_the_paper(*pictures[k : k + 2].astype(float)) for k in (0, 2, 4)]
    told: list[float] = []
    found = mean_similarity(pictures, told.append, threads)
    assert found == pytest.approx(float(np.mean(pairs)), abs=1e-5)
    assert told[-1] == 1


def _alike(side: int, seed: int) -> tuple[Array, Array]:
    """Two pictures (3, side, side) with structure of every size in common."""
    noise = np.random.default_rng(seed).standard_normal((2, 3, side, side))
    rough = ndimage.gaussian_filter(noise, (0, 0, 4, 4)) * 8
    ours, theirs = np.clip(128 + 40 * (0.3 * noise + rough), 0, 255)
    return ours, 0.7 * ours + 0.3 * theirs


def _from_the_paper(ours: Array, theirs: Array) -> float:
    """Wang, Simoncelli and Bovik 2003, equation 7, window by window."""
    product = 1.0
    for scale, weight in enumerate(WEIGHTS, 1):
        luminance_structure, structure = [], []
        for x, y in zip(ours, theirs, strict=True):
            for both, one in _windows(x, y):
                luminance_structure.append(both)
                structure.append(one)
        last = scale == len(WEIGHTS)
        product *= max(0.0, float(np.mean(luminance_structure if last else structure))) ** weight
        if not last:
            ours, theirs = _halved(ours), _halved(theirs)
    return product


def _windows(x: Array, y: Array) -> list[tuple[float, float]]:
    size = min(11, len(x))
    sigma = 1.5 * size / 11
    middle = (size - 1) / 2
    w = np.array(
        [
            [
                math.exp(-((i - middle) ** 2 + (j - middle) ** 2) / (2 * sigma**2))
                for j in range(size)
            ]
            for i in range(size)
        ]
    )
    w /= w.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for top in range(len(x) - size + 1):
        for left in range(len(x) - size + 1):
            a, b = x[top : top + size, left : left + size], y[top : top + size, left : left + size]
            mean_a, mean_b = (w * a).sum(), (w * b).sum()
            var_a, var_b = (w * (a - mean_a) ** 2).sum(), (w * (b - mean_b) ** 2).sum()
            covariance = (w * (a - mean_a) * (b - mean_b)).sum()
            structure = (2 * covariance + c2) / (var_a + var_b + c2)
            luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
            found.append((luminance * structure, structure))
    return found


def _halved(pictures: Array) -> Array:
    half = pictures.shape[1] // 2
    return pictures[:, : 2 * half, : 2 * half].reshape(-1, half, 2, half, 2).mean(axis=(2, 4))
