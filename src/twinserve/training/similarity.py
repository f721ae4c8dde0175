"""How alike the pictures of one set are: multi-scale structural similarity (MS-SSIM) of pairs.

Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment",
Asilomar 2003, with the constants of Wang et al., "Image quality assessment", IEEE TIP 2004. Odena,
Olah and Shlens, ICML 2017, took its mean over pairs of generated pictures as a measure of variety,
and the Progressive GAN's authors did so too.

Where this differs from the 2003 paper it follows the code published with the Progressive GAN: each
colour channel is compared by itself and all are averaged; a coarser scale is the mean of 2x2
pixels; and where a scale is smaller than the 11x11 window, as from 128x128 pictures on down (five
scales would need 11 * 16 = 176), the window shrinks to the scale, and its deviation with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from twinserve.training.distance import PictureSet
from twinserve.training.filters import filtered, grey_levels
from twinserve.training.threads import in_order

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first
WINDOW = 11  # side in pixels
DEVIATION = 1.5  # of the window's Gaussian, in pixels
SMALLEST = 1 << (len(WEIGHTS) - 1)  # side in pixels: each scale halves it
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

VALUES_AT_A_TIME = 1 << 20  # more leave the CPU's caches


def mean_similarity(
    pictures: PictureSet, on_done: Callable[[float], None] | None = None, threads: int = 1
) -> float:
    """Mean MS-SSIM of the pairs (0, 1), (2, 3), ... of (N, 3, side, side) bytes; 1: all alike.

    A last picture without a partner is left out, so N must be at least 2. Calls ``on_done(share)``
    now and then, 0 to 1. With several ``threads``, let PyTorch use one.
    """
    pairs = pictures.shape[0] // 2
    at_a_time = max(1, VALUES_AT_A_TIME // math.prod(pictures.shape[1:]) // 2)

    def summed(begin: int) -> float:
        some = grey_levels(pictures[2 * begin : 2 * min(pairs, begin + at_a_time)])
        return float(similarity(some[::2], some[1::2]).sum())

    total, begins = 0.0, range(0, pairs, at_a_time)
    for done, part in enumerate(in_order(summed, begins, threads), 1):
        total += part
        if on_done:
            on_done(done / len(begins))
    return total / pairs


def similarity(ours: Tensor, theirs: Tensor) -> Tensor:
    """MS-SSIM (N,) of pictures (N, C, H, W) with theirs, values 0 to 255, sides of at least 16."""
    product = torch.ones(len(ours), dtype=torch.float64)
    for weight in WEIGHTS[:-1]:
        _, structure = _compared(ours, theirs)
        product *= _mean(structure).clamp(min=0) ** weight
        ours, theirs = F.avg_pool2d(ours, 2), F.avg_pool2d(theirs, 2)
    luminance, structure = _compared(ours, theirs)
    return product * _mean(luminance * structure).clamp(min=0) ** WEIGHTS[-1]


def _compared(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Maps of the luminance term, and of contrast times structure, at one scale."""
    window = _window(min(WINDOW, *ours.shape[-2:]))
    # Both variances are only ever wanted as a sum: four maps to filter instead of five.
    maps = torch.stack([ours, theirs, ours * ours + theirs * theirs, ours * theirs])
    mean, mean_theirs, squares, products = filtered(maps, window)
    mean_squares, mean_products = mean * mean + mean_theirs * mean_theirs, mean * mean_theirs
    luminance = (2 * mean_products + C1) / (mean_squares + C1)
    structure = (2 * (products - mean_products) + C2) / (squares - mean_squares + C2)
    return luminance, structure


def _window(side: int) -> list[float]:
    """One axis of the Gaussian window, its deviation in proportion to its side; sums to 1."""
    deviation = DEVIATION * side / WINDOW
    places = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    weights = torch.exp(-(places**2) / (2 * deviation**2))
    values: list[float] = (weights / weights.sum()).tolist()
    return values


def _mean(maps: Tensor) -> Tensor:
    return maps.flatten(1).mean(dim=1).double()
