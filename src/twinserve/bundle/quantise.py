"""A generator in 8-bit integers, after training: Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018
(arXiv:1712.05877), section 2.

Weights get a scale for each output channel, features a scale and a zero point for each layer. Both
are chosen for the least square error, the latter on pictures of a calibration set. A coarse level
costs little time, and its errors grow through all the finer ones: so the levels become integers
from the finest down, as many of them as leave the pictures alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinserve.bundle.images import Pixels, as_pixels
from twinserve.bundle.latents import latent, noise
from twinserve.bundle.layers import Array, Node, constant
from twinserve.bundle.openvino_runtime import openvino
from twinserve.errors import BundleError

WORST_DB = 42.0  # on the calibration set, so that other pictures stay above 40
CALIBRATION_PICTURES = 64
FIRST_SEED = 2**62  # nobody's own
SAMPLED_PIXELS = 128  # a layer and picture
SEARCHED_VALUES = 100_000
SHARES = np.linspace(0.4, 1.0, 13)  # of an extreme value that a range may keep
LARGE_LINEAR = 1_000_000  # weights of a linear layer

STEPS = 255  # between the 256 values of a byte
LARGEST_WEIGHT = 127

Inputs = Mapping[str, Array]
Integers = NDArray[np.int8]


@dataclass(frozen=True)
class Range:
    """The features that a layer's bytes stand for: ``zero_point`` is the byte of exactly 0."""

    step: float
    zero_point: int

    @property
    def low(self) -> float:
        return -self.zero_point * self.step

    @property
    def high(self) -> float:
        return (STEPS - self.zero_point) * self.step


@dataclass(frozen=True)
class Quantised:
    """A graph whose last ``layers`` layers run on integers, and the PSNR in dB that the worst
    picture of the calibration set has against float32."""

    graph: Any
    layers: int
    worst_db: float


def quantised(
    graph: Any, pictures: int = CALIBRATION_PICTURES, least_db: float = WORST_DB
) -> Quantised:
    """The same generator with as many of its layers in int8 as leave each of so many pictures at
    least ``least_db`` like the one in float32.

    The graph given is left as it is; inputs, output and shapes stay the same. On one machine the
    result is always the same. It takes two to three times as long as the pictures do in float32.

    Raises:
        BundleError: not even the last layer can be an integer one.
    """
    inputs = [calibration_inputs(graph, k) for k in range(pictures)]
    observed = _observed(graph, inputs)
    ranges: dict[str, Range | None] = dict.fromkeys(map(_name, _large_linear_layers(graph)))
    ranges |= {name: best_range(values) for name, values in observed.features.items()}
    worst_db = 0.0
    while ranges:
        candidate = with_integers(graph, ranges)
        worst_db = _worst_db(candidate, inputs, observed.pictures, least_db)
        if worst_db >= least_db:
            return Quantised(candidate, len(ranges), worst_db)
        del ranges[next(iter(ranges))]  # the coarsest
    raise BundleError(
        f"{graph.friendly_name} cannot run in int8: its pictures would be only {worst_db:.1f} dB "
        f"like those in f32, {least_db:.0f} are asked for; choose another arithmetic."
    )


def with_integers(graph: Any, ranges: Mapping[str, Range | None]) -> Any:
    """A copy of the graph in which each layer named takes its features as bytes of that range; None
    makes integers of its weights alone."""
    copied = graph.clone()
    for node in copied.get_ordered_ops():
        if _name(node) not in ranges:
            continue
        span = ranges[_name(node)]
        if span is None:
            _replace_weight(node)
        elif _upsamples(node):
            _replace_upsampling(node, span)
        else:
            _replace_plain(node, span)
    copied.validate_nodes_and_infer_types()
    return copied


def best_range(values: Array) -> Range:
    """The range whose bytes stand for the values with the least square error: it pays to clip the
    few largest ones and so have finer steps for all others."""
    flat = values.ravel()
    flat = flat[:: max(1, flat.size // SEARCHED_VALUES)]
    low, high = min(0.0, float(flat.min())), max(0.0, float(flat.max()))
    candidates = [
        Range(step, round(-low * below / step))
        for below in (SHARES if low < 0 else SHARES[-1:])
        for above in SHARES
        if (step := float(high * above - low * below) / STEPS) > 0
    ]
    return min(candidates or [Range(1.0, 0)], key=lambda span: _square_error(flat, span))


def rounded_weight(weight: Array, output_axis: int) -> tuple[Integers, Array]:
    """A weight as integers and their scale for each output channel, shaped to be multiplied:
    symmetric, with the least square error."""
    axes = tuple(axis for axis in range(weight.ndim) if axis != output_axis)
    largest = np.abs(weight).max(axes, keepdims=True)
    largest = np.where(largest > 0, largest, np.float32(1))
    scales = [largest * np.float32(share / LARGEST_WEIGHT) for share in (0.7, 0.8, 0.9, 1.0)]
    errors = [
        ((_integers(weight, scale) * scale - weight) ** 2).sum(axes, keepdims=True)
        for scale in scales
    ]
    scale = np.take_along_axis(np.stack(scales), np.argmin(errors, axis=0)[None], axis=0)[0]
    return _integers(weight, scale), scale


def psnr_db(found: Pixels, wanted: Pixels) -> float:
    """Peak signal-to-noise ratio of bytes; equal ones get that of a single deviating byte."""
    error = float(((found.astype(np.float64) - wanted) ** 2).mean())
    return float(10 * np.log10(255**2 / max(error, 1 / found.size)))


def calibration_inputs(graph: Any, index: int) -> dict[str, Array]:
    """All that the network takes for one picture of the calibration set; nothing is truncated."""
    seed, found = FIRST_SEED + index, {}
    for port in graph.inputs:
        name, shape = port.get_any_name(), tuple(port.get_shape())
        if name == "latent":
            found[name] = latent(seed, 0, shape[1])[None]
        elif name.startswith("noise_"):
            found[name] = noise(seed, 0, int(name.removeprefix("noise_")), shape)
        else:
            found[name] = np.ones(shape, np.float32)
    return found


def _convolutions(graph: Any) -> list[Node]:
    """The convolutions of more than one pixel. Each needs the one before it, so that they come in
    the order of the network, coarsest first."""
    kinds = ("Convolution", "ConvolutionBackpropData")
    nodes = (node for node in graph.get_ordered_ops() if node.get_type_name() in kinds)
    return [node for node in nodes if node.input_value(1).get_shape()[-1] > 1]


def _large_linear_layers(graph: Any) -> list[Node]:
    """Those whose weights are worth it for memory; they take no time to speak of."""
    nodes = (node for node in graph.get_ordered_ops() if node.get_type_name() == "MatMul")
    return [node for node in nodes if math.prod(node.input_value(1).get_shape()) >= LARGE_LINEAR]


def _name(node: Node) -> str:
    return str(node.get_friendly_name())


def _upsamples(node: Node) -> bool:
    return bool(node.get_type_name() == "ConvolutionBackpropData")


@dataclass(frozen=True)
class _Observed:
    """What a network computed in float32: its pictures as bytes, and by the name of each
    convolution the features (channels, pixels) that came into it, at some pixels of each
    picture."""

    pictures: list[Pixels]
    features: dict[str, Array]


def _observed(graph: Any, inputs: Sequence[Inputs]) -> _Observed:
    op, copied = openvino().opset13, graph.clone()
    random = np.random.default_rng(0)
    outputs = [copied.get_results()[0].input_value(0)]
    names = []
    for node in _convolutions(copied):
        names.append(_name(node))
        features = node.input_value(0)
        _, channels, height, width = features.get_shape()
        pixels = random.permutation(height * width)[:SAMPLED_PIXELS]
        rows = op.reshape(features, op.constant(np.array([channels, height * width])), False)
        outputs.append(op.gather(rows, op.constant(np.sort(pixels)), op.constant(1)).output(0))
    request = _compiled(
        openvino().Model(outputs, copied.get_parameters(), graph.friendly_name)
    ).create_infer_request()
    pictures, sampled = [], []
    for values in inputs:
        picture, *features = request.infer(dict(values)).to_tuple()
        pictures.append(as_pixels(picture[0]))
        sampled.append([np.array(layer) for layer in features])
    layers = (np.concatenate(layer, axis=1) for layer in zip(*sampled, strict=True))
    return _Observed(pictures, dict(zip(names, layers, strict=True)))


def _worst_db(
    graph: Any, inputs: Sequence[Inputs], wanted: Sequence[Pixels], least_db: float
) -> float:
    """The least PSNR of all pictures, or the first below ``least_db``, which is answer enough."""
    request = _compiled(graph).create_infer_request()
    worst_db = math.inf
    for values, pixels in zip(inputs, wanted, strict=True):
        worst_db = min(worst_db, psnr_db(as_pixels(request.infer(dict(values))[0][0]), pixels))
        if worst_db < least_db:
            break
    return worst_db


def _compiled(graph: Any) -> Any:
    """On one thread, so that calibration finds the same everywhere on a machine."""
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    try:
        return openvino().Core().compile_model(graph, "CPU", options)
    except RuntimeError as error:
        raise BundleError(f"{graph.friendly_name} cannot be compiled: {error}") from error


def _replace_plain(node: Node, span: Range) -> None:
    """OpenVINO itself makes integers of a convolution whose features and weights are rounded."""
    op = openvino().opset13
    low, high = _scalar(span.low), _scalar(span.high)
    rounded = op.fake_quantize(node.input_value(0), low, high, low, high, STEPS + 1)
    node.input(0).replace_source_output(rounded.output(0))
    _replace_weight(node)


def _replace_weight(node: Node) -> None:
    """Of a weight (out, in, ...)."""
    integers, scale = rounded_weight(_constant_of(node.input_value(1)), output_axis=0)
    node.input(1).replace_source_output(_dequantised(integers, scale).output(0))


def _replace_upsampling(node: Node, span: Range) -> None:
    """A transposed convolution knows no zero point: OpenVINO would run it on floats.

    So its bytes stand for features less ``span.low``, what lies around the picture is written out
    as bytes of exactly 0, and the constant that this adds to each output is taken away behind. It
    is one constant a channel only if the taps of the four pixels that a feature becomes have the
    same sum: true of a fused upsampling, and kept true in rounding.
    """
    op = openvino().opset13
    weight = _constant_of(node.input_value(1))
    integers, scale = rounded_weight(weight, output_axis=1)
    features = op.fake_quantize(
        node.input_value(0),
        *(_scalar(span.low), _scalar(span.high)),
        *(_scalar(0), _scalar(STEPS)),
        STEPS + 1,
    )
    features, around = op.convert(features, np.uint8), 0
    if span.zero_point:
        integers, around = _with_sums_kept(weight / scale, integers), 1
        width = op.constant(np.array([0, 0, around, around]))
        fill = op.constant(np.array(span.zero_point, np.uint8))
        features = op.pad(features, width, width, "constant", fill)
    features = op.multiply(op.convert(features, np.float32), _scalar(span.step))
    pads = [1 + 2 * around] * 2
    result = op.convolution_backprop_data(
        features,
        _dequantised(integers, scale),
        strides=[2, 2],
        pads_begin=pads,
        pads_end=pads,
        dilations=[1, 1],
    )
    added = span.low * (integers * scale).sum((0, 2, 3), keepdims=True) / 4
    shifted = op.add(result, constant(added)) if span.zero_point else result
    for consumer in node.output(0).get_target_inputs():
        consumer.replace_source_output(shifted.output(0))


def _with_sums_kept(exact: Array, rounded: Integers) -> Integers:
    """The rounded weights (in, out, 4, 4), some of them rounded the other way, so that the taps of
    each of the four pixels have the rounded sum of the exact ones."""
    result = rounded.astype(np.int32)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        place = np.s_[:, :, row::2, column::2]
        # (out, in * 4): errors of at most about 1/2, largest first in the direction that lacks
        lack = exact[place].swapaxes(0, 1).reshape(exact.shape[1], -1)
        taps = result[place].swapaxes(0, 1).reshape(lack.shape)
        lack = lack - taps
        missing = np.rint(lack.sum(axis=1, keepdims=True)).astype(np.int32)
        direction = np.sign(missing)
        order = np.argsort(np.argsort(-direction * lack, axis=1, kind="stable"), axis=1)
        taps = taps + np.where(order < np.abs(missing), direction, 0)
        shape = (exact.shape[1], exact.shape[0], 2, 2)
        result[place] = taps.reshape(shape).swapaxes(0, 1)
    return np.clip(result, -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.int8)


def _integers(weight: Array, scale: Array) -> Integers:
    rounded = np.clip(np.rint(weight / scale), -LARGEST_WEIGHT, LARGEST_WEIGHT)
    integers: Integers = rounded.astype(np.int8)
    return integers


def _dequantised(integers: Integers, scale: Array) -> Node:
    op = openvino().opset13
    return op.multiply(op.convert(op.constant(integers), np.float32), constant(scale))


def _square_error(values: Array, span: Range) -> float:
    byte = np.clip(np.rint(values / span.step) + span.zero_point, 0, STEPS)
    return float((((byte - span.zero_point) * span.step - values) ** 2).mean())


def _constant_of(output: Any) -> Array:
    """The values of a constant, also where it is stored as float16."""
    node = output.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.array(node.get_data(), np.float32)


def _scalar(value: float) -> Node:
    return openvino().opset13.constant(np.array(value, np.float32))
