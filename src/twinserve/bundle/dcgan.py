"""The deep convolutional GAN's generator as plain arrays and as a graph: Radford, Metz and
Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks", ICLR 2016 (arXiv:1511.06434).

Every layer is a transposed convolution; batch normalisation, whose statistics are constants once
training is over, is multiplied into the layer before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from twinserve.bundle import layers
from twinserve.bundle.layers import Array, Layer, Node
from twinserve.bundle.openvino_runtime import openvino


@dataclass(frozen=True)
class DcganWeights:
    """One generator, coarsest level first.

    ``linear`` leads from the latent to 4x4 features; each of ``blocks``, whose weights are (in,
    out, 4, 4), doubles the side, and the last of them makes the picture. ``squashed``: it ends in a
    hyperbolic tangent.
    """

    linear: Layer
    blocks: tuple[Layer, ...]
    squashed: bool = True

    @property
    def latent(self) -> int:
        return int(self.linear.weight.shape[1])

    @property
    def resolution(self) -> int:
        return 4 << len(self.blocks)


@dataclass(frozen=True)
class BatchNorm:
    """A batch normalisation in evaluation mode, each array (channels,)."""

    weight: Array
    bias: Array
    mean: Array
    variance: Array
    epsilon: float = 1e-5

    @property
    def scale(self) -> Array:
        ratio: Array = self.weight / np.sqrt(self.variance + np.float32(self.epsilon))
        return ratio

    @property
    def shift(self) -> Array:
        return self.bias - self.mean * self.scale


def fold(weight: Array, norm: BatchNorm) -> Layer:
    """A transposed convolution without bias, (in, out, k, k), and the normalisation behind it."""
    return Layer(weight * norm.scale[:, None, None], norm.shift)


def as_linear(layer: Layer) -> Layer:
    """A transposed convolution of stride 1 on a single pixel, (in, C, 4, 4) with a bias (C,), as
    the linear layer (C * 16, in) that it is."""
    inputs = len(layer.weight)
    return Layer(layer.weight.reshape(inputs, -1).T, layer.bias.repeat(16))


def graph(weights: DcganWeights, name: str) -> Any:
    """Input ``latent`` (1, latent) -> picture (1, 3, side, side) within -1..1 if squashed.

    One picture at a time, with constant statistics: an image does not depend on its batch.
    """
    op = openvino().opset13
    z = layers.parameter("latent", [1, weights.latent])
    channels = len(weights.linear.bias) // 16
    x: Node = layers.as_map(layers.linear(z, weights.linear), channels)
    for block in weights.blocks:
        x = layers.upsampling_convolution(op.relu(x), block)
    return layers.model(op.tanh(x) if weights.squashed else x, [z], name)
