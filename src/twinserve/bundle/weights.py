"""A generator's weights as a bundle holds them: plain arrays, constants folded, upsampling fused.

The network is the Progressive GAN's generator (Karras et al., ICLR 2018; see
``twinserve.training.networks``) with every equalisation constant multiplied into its weight, and
each nearest-neighbour upsampling joined with the 3x3 convolution behind it into one transposed 4x4
convolution of stride 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """``weight`` is (out, in) for the linear layer, (in, out, 4, 4) where it upsamples, else
    (out, in, k, k); ``bias`` is (out,)."""

    weight: Array
    bias: Array


@dataclass(frozen=True)
class GeneratorWeights:
    """One generator, coarsest level first; a block is (upsampling convolution, convolution)."""

    linear: Layer
    first: Layer
    blocks: tuple[tuple[Layer, Layer], ...]
    to_rgb: Layer

    @property
    def latent(self) -> int:
        return int(self.linear.weight.shape[1])

    @property
    def resolution(self) -> int:
        return 4 << len(self.blocks)


def fuse_upsampling(weight: Array) -> Array:
    """(out, in, 3, 3) behind a 2x nearest upsampling -> (in, out, 4, 4) of stride 2, padding 1.

    Each of the four taps along an axis is the sum of the kernel taps that meet the same source
    pixel: T[t] = W[2 - t] + W[3 - t], taps outside 0..2 being zero. Exact algebra, 37 % fewer
    operations.
    """
    flipped = np.pad(weight[:, :, ::-1, ::-1], ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows = flipped[:, :, 1:, :] + flipped[:, :, :-1, :]
    taps = rows[:, :, :, 1:] + rows[:, :, :, :-1]
    return np.ascontiguousarray(taps.transpose(1, 0, 2, 3))


def random_weights(
    resolution: int, latent: int = 64, width: int = 32, seed: int = 0
) -> GeneratorWeights:
    """Seeded random weights of a small generator, for when no trained bundle is at hand."""
    random = np.random.default_rng(seed)
    levels = resolution.bit_length() - 3
    widths = [max(width >> max(0, level - 2), 8) for level in range(levels + 1)]

    def layer(outputs: int, *inputs: int) -> Layer:
        scale = math.sqrt(2 / math.prod(inputs))
        weight = random.standard_normal((outputs, *inputs), np.float32) * np.float32(scale)
        return Layer(weight, random.standard_normal(outputs, np.float32) * np.float32(0.1))

    def upsampling(outputs: int, inputs: int) -> Layer:
        plain = layer(outputs, inputs, 3, 3)
        return Layer(fuse_upsampling(plain.weight), plain.bias)

    return GeneratorWeights(
        linear=layer(widths[0] * 16, latent),
        first=layer(widths[0], widths[0], 3, 3),
        blocks=tuple(
            (upsampling(finer, coarser), layer(finer, finer, 3, 3))
            for coarser, finer in pairwise(widths)
        ),
        to_rgb=layer(3, widths[-1], 1, 1),
    )
