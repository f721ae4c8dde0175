"""A generator as an OpenVINO graph: latent (1, latent) -> picture (1, 3, side, side), not
clipped."""

from __future__ import annotations

from typing import Any

import numpy as np

from twinserve.bundle.openvino_runtime import openvino
from twinserve.bundle.weights import Array, GeneratorWeights, Layer

EPSILON = 1e-8
SLOPE = 0.2

Node = Any  # OpenVINO's nodes carry no types


def build_graph(weights: GeneratorWeights, name: str) -> Any:
    """The generator as an ``openvino.Model`` for one picture at a time.

    One at a time, since an image may not depend on the others in its batch.
    """
    ov = openvino()
    z = ov.opset13.parameter([1, weights.latent], np.float32, name="latent")
    x = _linear(_pixel_norm(z), weights.linear)
    x = _activate(_as_map(x, len(weights.first.bias)))
    x = _activate(_convolution(x, weights.first))
    for upsampling, convolution in weights.blocks:
        x = _activate(_upsampling_convolution(x, upsampling))
        x = _activate(_convolution(x, convolution))
    picture = _convolution(x, weights.to_rgb)
    return ov.Model([picture], [z], name)


def _pixel_norm(x: Node) -> Node:
    op = openvino().opset13
    mean_square = op.reduce_mean(op.multiply(x, x), op.constant(np.array([1])), True)
    return op.divide(x, op.sqrt(op.add(mean_square, _constant(np.array([EPSILON], np.float32)))))


def _activate(x: Node) -> Node:
    op = openvino().opset13
    return _pixel_norm(op.prelu(x, _constant(np.array([SLOPE], np.float32))))


def _linear(x: Node, layer: Layer) -> Node:
    op = openvino().opset13
    product = op.matmul(x, _constant(layer.weight), False, True)
    return op.add(product, _constant(layer.bias.reshape(1, -1)))


def _as_map(x: Node, channels: int) -> Node:
    op = openvino().opset13
    return op.reshape(x, op.constant(np.array([1, channels, 4, 4])), False)


def _convolution(x: Node, layer: Layer) -> Node:
    pad = [layer.weight.shape[-1] // 2] * 2
    op = openvino().opset13
    return _biased(op.convolution(x, _constant(layer.weight), [1, 1], pad, pad, [1, 1]), layer)


def _upsampling_convolution(x: Node, layer: Layer) -> Node:
    op = openvino().opset13
    y = op.convolution_backprop_data(
        x,
        _constant(layer.weight),
        strides=[2, 2],
        pads_begin=[1, 1],
        pads_end=[1, 1],
        dilations=[1, 1],
    )
    return _biased(y, layer)


def _biased(x: Node, layer: Layer) -> Node:
    return openvino().opset13.add(x, _constant(layer.bias.reshape(1, -1, 1, 1)))


def _constant(values: Array) -> Node:
    return openvino().opset13.constant(np.ascontiguousarray(values, np.float32))
