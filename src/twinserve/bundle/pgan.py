"""The Progressive GAN's generator as plain arrays and as a graph (Karras et al., ICLR 2018; see
``twinserve.training.networks``).

Every equalisation constant is multiplied into its layer, and each nearest-neighbour upsampling is
joined with the 3x3 convolution behind it into one transposed 4x4 convolution of stride 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from twinserve.bundle import layers
from twinserve.bundle.layers import EPSILON, SLOPE, Array, Layer, Node, fuse_upsampling
from twinserve.bundle.openvino_runtime import openvino

CENTRE_SAMPLES = 2048


@dataclass(frozen=True)
class PganWeights:
    """One generator, coarsest level first; a block is (upsampling convolution, convolution), the
    former fused or not.

    While the newest level fades in, ``alpha`` is its share, and ``older_rgb`` makes the rest of the
    picture from the level before.
    """

    linear: Layer
    first: Layer
    blocks: tuple[tuple[Layer, Layer], ...]
    to_rgb: Layer
    older_rgb: Layer | None = None
    alpha: float = 1.0

    @property
    def latent(self) -> int:
        return int(self.linear.weight.shape[1])

    @property
    def resolution(self) -> int:
        return 4 << len(self.blocks)


def graph(weights: PganWeights, name: str) -> Any:
    """Inputs ``latent`` (1, latent) and ``psi`` (1,) -> picture (1, 3, side, side), not clipped.

    One picture at a time, since an image may not depend on the others in its batch. ``psi`` draws
    the first features towards their mean (1: not at all): less variety, fewer broken faces. It
    cannot act on the latent, whose length the network ignores.
    """
    z, psi = layers.parameter("latent", [1, weights.latent]), layers.parameter("psi", [1])
    # Layers that keep their scale as a step of its own are to round like another implementation.
    in_steps = weights.linear.scale != 1
    x = layers.linear(layers.pixel_norm(z), weights.linear)
    x = _activated(layers.as_map(x, _width(weights)), in_steps)
    x = layers.drawn_to(x, centre(weights)[None], psi)
    x = older = _activated(layers.convolution(x, weights.first), in_steps)
    for upsampling, convolution in weights.blocks:
        older = x
        x = _activated(layers.upsampling_convolution(x, upsampling))
        x = _activated(layers.convolution(x, convolution))
    picture = layers.convolution(x, weights.to_rgb)
    if weights.older_rgb and weights.alpha < 1:
        picture = _blended(older, picture, weights.older_rgb, weights.alpha)
    return layers.model(picture, [z, psi], name)


def centre(weights: PganWeights) -> Array:
    """The mean over many latents of the first activated features, (C, 4, 4)."""
    z = np.random.default_rng(0).standard_normal((CENTRE_SAMPLES, weights.latent), np.float32)
    z /= np.sqrt((z**2).mean(axis=1, keepdims=True) + EPSILON)
    x = (z @ weights.linear.weight.T + weights.linear.bias) * np.float32(weights.linear.scale)
    x = np.where(x > 0, x, SLOPE * x).reshape(CENTRE_SAMPLES, -1, 4, 4)
    x /= np.sqrt((x**2).mean(axis=1, keepdims=True) + EPSILON)
    mean: Array = x.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def random_weights(
    resolution: int, latent: int, feature_maps: Sequence[int], seed: int = 0
) -> PganWeights:
    """Seeded random weights, for when no trained bundle is at hand.

    ``feature_maps[L]`` is the width of level L, as many as the resolution needs.
    """
    random = np.random.default_rng(seed)
    widths = feature_maps[: resolution.bit_length() - 2]

    def layer(outputs: int, *inputs: int) -> Layer:
        scale = math.sqrt(2 / math.prod(inputs))
        weight = random.standard_normal((outputs, *inputs), np.float32) * np.float32(scale)
        return Layer(weight, random.standard_normal(outputs, np.float32) * np.float32(0.1))

    def upsampling(outputs: int, inputs: int) -> Layer:
        plain = layer(outputs, inputs, 3, 3)
        return Layer(fuse_upsampling(plain.weight), plain.bias)

    return PganWeights(
        linear=layer(widths[0] * 16, latent),
        first=layer(widths[0], widths[0], 3, 3),
        blocks=tuple(
            (upsampling(finer, coarser), layer(finer, finer, 3, 3))
            for coarser, finer in pairwise(widths)
        ),
        to_rgb=layer(3, widths[-1], 1, 1),
    )


def _width(weights: PganWeights) -> int:
    return len(weights.first.bias)


def _activated(x: Node, in_steps: bool = False) -> Node:
    norm = layers.pixel_norm_in_steps if in_steps else layers.pixel_norm
    return norm(layers.leaky_relu(x))


def _blended(older: Node, newer: Node, older_rgb: Layer, alpha: float) -> Node:
    op = openvino().opset13
    before = layers.upsampled(layers.convolution(older, older_rgb))
    shares = (layers.constant(np.array([share], np.float32)) for share in (1 - alpha, alpha))
    return op.add(*map(op.multiply, (before, newer), shares))
