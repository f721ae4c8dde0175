"""The style-based generator as plain arrays and as a graph: Karras, Laine and Aila, "A Style-Based
Generator Architecture for Generative Adversarial Networks", CVPR 2019 (arXiv:1812.04948), in the
form of the published PyTorch implementation: nearest-neighbour upsampling without blur, and a
learned constant of every level's own width.

Every equalisation constant is multiplied into its layer, and each upsampling is joined with the 3x3
convolution behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from twinserve.bundle import layers
from twinserve.bundle.layers import Array, Layer, Node
from twinserve.bundle.openvino_runtime import openvino

EPSILON = 1e-8


@dataclass(frozen=True)
class Styled:
    """What happens to the features of one layer: noise times ``strength`` is added, and behind the
    activation their mean and deviation are replaced by ``style`` of the intermediate latent: a
    linear layer (2 * channels, latent), factors first."""

    strength: float
    style: Layer


@dataclass(frozen=True)
class Block:
    """One level: an upsampling convolution (in, out, 4, 4) and a plain one, each with its style."""

    upsampling: Layer
    first: Styled
    convolution: Layer
    second: Styled


@dataclass(frozen=True)
class StyleganWeights:
    """One generator, coarsest level first; ``constant`` is (channels, 4, 4) and ``mean_w`` the mean
    of the intermediate latent, (latent,).

    While the newest level fades in, ``alpha`` is its share, and ``older_rgb`` makes the rest of the
    picture from the level before.
    """

    mapping: tuple[Layer, ...]
    mean_w: Array
    constant: Array
    first: Styled
    convolution: Layer
    second: Styled
    blocks: tuple[Block, ...]
    to_rgb: Layer
    older_rgb: Layer | None = None
    alpha: float = 1.0

    @property
    def latent(self) -> int:
        return int(self.mapping[0].weight.shape[1])

    @property
    def resolution(self) -> int:
        return 4 << len(self.blocks)


def graph(weights: StyleganWeights, name: str) -> Any:
    """Inputs ``latent`` (1, latent), ``noise_0``, ``noise_1``, ... (1, 1, side, side), two a level
    from 4x4 on, and ``psi`` (1,) -> picture (1, 3, side, side), not clipped.

    ``psi`` draws the intermediate latent towards its mean (1: not at all): less variety, fewer
    broken pictures.
    """
    z, psi = layers.parameter("latent", [1, weights.latent]), layers.parameter("psi", [1])
    noise = [
        layers.parameter(f"noise_{k}", [1, 1, side, side])
        for k, side in enumerate(noise_sides(weights))
    ]
    w = layers.drawn_to(_mapped(z, weights), weights.mean_w[None], psi)
    x = _styled(layers.constant(weights.constant[None]), noise[0], w, weights.first)
    x = _styled(layers.convolution(x, weights.convolution), noise[1], w, weights.second)
    older = x
    for block, first, second in zip(weights.blocks, noise[2::2], noise[3::2], strict=True):
        older = x
        x = _styled(layers.upsampling_convolution(x, block.upsampling), first, w, block.first)
        x = _styled(layers.convolution(x, block.convolution), second, w, block.second)
    picture = layers.convolution(x, weights.to_rgb)
    if weights.older_rgb and weights.alpha < 1:
        picture = _blended(older, picture, weights.older_rgb, weights.alpha)
    return layers.model(picture, [z, *noise, psi], name)


def noise_sides(weights: StyleganWeights) -> list[int]:
    """Side of each noise input, in order."""
    return [4 << level for level in range(len(weights.blocks) + 1) for _ in range(2)]


def _mapped(z: Node, weights: StyleganWeights) -> Node:
    w = layers.pixel_norm(z)
    for layer in weights.mapping:
        w = layers.leaky_relu(layers.linear(w, layer))
    return w


def _styled(x: Node, noise: Node, w: Node, styled: Styled) -> Node:
    """Noise, activation, and adaptive instance normalisation (section 3, equation 1)."""
    op = openvino().opset13
    strength = layers.constant(np.array([styled.strength], np.float32))
    x = layers.leaky_relu(op.add(x, op.multiply(noise, strength)))
    x = op.mvn(x, op.constant(np.array([2, 3])), True, EPSILON, "inside_sqrt")
    channels = len(styled.style.bias) // 2
    style = op.reshape(
        layers.linear(w, styled.style), op.constant(np.array([2, channels, 1, 1])), False
    )
    factors, offsets = op.split(style, op.constant(0), 2).outputs()
    return op.add(op.multiply(x, factors), offsets)


def _blended(older: Node, newer: Node, older_rgb: Layer, alpha: float) -> Node:
    op = openvino().opset13
    before = layers.upsampled(layers.convolution(older, older_rgb))
    shares = (layers.constant(np.array([share], np.float32)) for share in (1 - alpha, alpha))
    return op.add(*map(op.multiply, (before, newer), shares))
