"""The layers that generators are made of, as OpenVINO nodes. Shapes are (1, C, H, W)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinserve.bundle.openvino_runtime import openvino

EPSILON = 1e-8
SLOPE = 0.2

Array = NDArray[np.float32]
Node = Any  # OpenVINO's nodes carry no types


@dataclass(frozen=True)
class Layer:
    """``weight`` is (out, in) for a linear layer, (in, out, 4, 4) where it upsamples, else
    (out, in, k, k); ``bias`` is (out,). ``scale`` multiplies the result, bias included, as a step
    of its own: for networks whose rounding is to be that of another implementation."""

    weight: Array
    bias: Array
    scale: float = 1.0


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


def model(picture: Node, inputs: Sequence[Node], name: str) -> Any:
    """The graph as an ``openvino.Model``."""
    return openvino().Model([picture], list(inputs), name)


def parameter(name: str, shape: Sequence[int]) -> Node:
    """An input of the graph; the engine finds it by its name."""
    node = openvino().opset13.parameter(list(shape), np.float32, name=name)
    node.output(0).get_tensor().set_names({name})
    return node


def constant(values: Array) -> Node:
    return openvino().opset13.constant(np.ascontiguousarray(values, np.float32))


def pixel_norm(x: Node) -> Node:
    """Each pixel's feature vector to unit mean square.

    As unit length times the root of the number of channels: OpenVINO runs that as one step, where
    the same written out with multiply, mean and divide took two to three times as long.
    """
    op = openvino().opset13
    channels = x.output(0).get_partial_shape()[1].get_length()
    unit = op.normalize_l2(x, op.constant(np.array([1])), channels * EPSILON, "add")
    return op.multiply(unit, constant(np.array([math.sqrt(channels)], np.float32)))


def pixel_norm_in_steps(x: Node) -> Node:
    """The same written out as the paper has it, which rounds as other implementations do."""
    op = openvino().opset13
    mean_square = op.reduce_mean(op.multiply(x, x), op.constant(np.array([1])), True)
    return op.divide(x, op.sqrt(op.add(mean_square, constant(np.array([EPSILON], np.float32)))))


def leaky_relu(x: Node) -> Node:
    return openvino().opset13.prelu(x, constant(np.array([SLOPE], np.float32)))


def linear(x: Node, layer: Layer) -> Node:
    """(1, in) -> (1, out)."""
    op = openvino().opset13
    y = op.matmul(x, constant(layer.weight), False, True)
    return _scaled(op.add(y, constant(layer.bias.reshape(1, -1))), layer.scale)


def as_map(x: Node, channels: int) -> Node:
    """(1, channels * 16) -> (1, channels, 4, 4)."""
    op = openvino().opset13
    return op.reshape(x, op.constant(np.array([1, channels, 4, 4])), False)


def convolution(x: Node, layer: Layer) -> Node:
    """A same-size convolution with its bias."""
    pad = [layer.weight.shape[-1] // 2] * 2
    op = openvino().opset13
    y = op.convolution(x, constant(layer.weight), [1, 1], pad, pad, [1, 1])
    return _scaled(biased(y, layer.bias), layer.scale)


def upsampling_convolution(x: Node, layer: Layer) -> Node:
    """A transposed 4x4 convolution of stride 2, padding 1, with its bias: twice the size.

    A layer that was not fused, (out, in, 3, 3), upsamples first.
    """
    if layer.weight.shape[-1] == 3:
        return convolution(upsampled(x), layer)
    op = openvino().opset13
    y = op.convolution_backprop_data(
        x,
        constant(layer.weight),
        strides=[2, 2],
        pads_begin=[1, 1],
        pads_end=[1, 1],
        dilations=[1, 1],
    )
    return _scaled(biased(y, layer.bias), layer.scale)


def upsampled(x: Node) -> Node:
    """Twice the size, each pixel repeated."""
    op = openvino().opset13
    scales = op.constant(np.array([2, 2], np.float32))
    return op.interpolate(
        x,
        scales,
        mode="nearest",
        shape_calculation_mode="scales",
        axes=op.constant(np.array([2, 3])),
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )


def biased(x: Node, bias: Array) -> Node:
    return openvino().opset13.add(x, constant(bias.reshape(1, -1, 1, 1)))


def drawn_to(x: Node, centre: Array, share: Node) -> Node:
    """``share * x + (1 - share) * centre``: truncation (Karras et al., CVPR 2019, section 2.1).

    A share of 1 leaves ``x`` as it is, to the last bit.
    """
    op = openvino().opset13
    rest = op.subtract(constant(np.ones(1, np.float32)), share)
    return op.add(op.multiply(share, x), op.multiply(rest, constant(centre)))


def _scaled(x: Node, scale: float) -> Node:
    if scale == 1:
        return x
    # OpenVINO would multiply the scale into the weights; it does not see through a clamp.
    largest = float(np.finfo(np.float32).max)
    op = openvino().opset13
    return op.multiply(op.clamp(x, -largest, largest), constant(np.array([scale], np.float32)))
