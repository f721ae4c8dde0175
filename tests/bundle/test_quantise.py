"""A generator in 8-bit integers: like the one in float32, and really run on integers."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from twinserve.bundle import dcgan, pgan, stylegan
from twinserve.bundle.layers import (
    Array,
    Layer,
    convolution,
    fuse_upsampling,
    model,
    parameter,
    upsampling_convolution,
)
from twinserve.bundle.openvino_runtime import openvino
from twinserve.bundle.quantise import (
    Range,
    best_range,
    calibration_inputs,
    psnr_db,
    quantised,
    rounded_weight,
    with_integers,
)
from twinserve.errors import BundleError

RANDOM = np.random.default_rng()
OTHERS = range(1000, 1064)  # pictures that calibration has not seen
LEAST_DB = 40.0

WIDTHS = (32, 32, 32, 16)
SMALL = pgan.graph(pgan.random_weights(32, 32, WIDTHS), "small")


@pytest.fixture(autouse=True)
def _the_same_numbers_in_each_test() -> None:
    RANDOM.bit_generator.state = np.random.default_rng(3).bit_generator.state


def numbers(*shape: int) -> Array:
    fan_in = np.prod(shape[1:]) if len(shape) > 1 else 16
    return RANDOM.standard_normal(shape, np.float32) / np.float32(np.sqrt(fan_in))


def layer(*shape: int) -> Layer:
    return Layer(numbers(*shape), numbers(shape[0]))


def fused(outputs: int, inputs: int) -> Layer:
    return Layer(fuse_upsampling(numbers(outputs, inputs, 3, 3)), numbers(outputs))


def compiled(graph: Any) -> Any:
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return openvino().Core().compile_model(graph, "CPU", options)


def run(graph: Any, inputs: list[dict[str, Array]]) -> list[Array]:
    request = compiled(graph).create_infer_request()
    return [np.array(request.infer(values)[0][0]) for values in inputs]


def as_bytes(picture: Array) -> Any:
    return np.clip(np.rint((picture + 1) * 127.5), 0, 255).astype(np.uint8)


def integer_layers(graph: Any) -> Counter[str]:
    """How many of what the compiled graph runs has bytes coming in, by the kind of layer."""
    found: Counter[str] = Counter()
    for node in compiled(graph).get_runtime_model().get_ops():
        facts = node.get_rt_info()
        if facts["runtimePrecision"].astype(str) in ("u8", "i8"):
            found[facts["layerType"].astype(str)] += 1
    return found


def worst_db(graph: Any, integers: Any) -> float:
    inputs = [calibration_inputs(graph, index) for index in OTHERS]
    pairs = zip(run(integers, inputs), run(graph, inputs), strict=True)
    return min(psnr_db(as_bytes(found), as_bytes(wanted)) for found, wanted in pairs)


def test_pictures_outside_of_the_calibration_set_stay_alike() -> None:
    result = quantised(SMALL)
    assert result.worst_db >= 42
    assert worst_db(SMALL, result.graph) >= LEAST_DB


def test_its_layers_run_on_integers() -> None:
    result = quantised(SMALL)
    ran = integer_layers(result.graph)
    assert ran["Convolution"] + ran["Deconvolution"] == result.layers >= 2
    assert not {"Convolution", "Deconvolution"} & set(integer_layers(SMALL))


def test_coarse_layers_stay_floats_where_that_is_what_it_takes() -> None:
    every = 2 * len(WIDTHS) - 1
    strict = quantised(SMALL, pictures=8, least_db=41)
    lax = quantised(SMALL, pictures=8, least_db=20)
    assert strict.layers < lax.layers == every
    assert strict.worst_db > lax.worst_db


def test_a_demand_that_no_layer_meets_is_refused() -> None:
    with pytest.raises(BundleError, match="small cannot run in int8: its pictures would be only"):
        quantised(SMALL, pictures=2, least_db=90)


def test_the_same_comes_out_every_time_and_the_graph_is_left_as_it_was() -> None:
    inputs = [calibration_inputs(SMALL, 0)]
    before = run(SMALL, inputs)[0]
    first, second = (quantised(SMALL, pictures=4).graph for _ in range(2))
    assert np.array_equal(run(first, inputs)[0], run(second, inputs)[0])
    assert np.array_equal(run(SMALL, inputs)[0], before)


def test_it_keeps_inputs_and_output_and_survives_being_stored(tmp_path: Any) -> None:
    graph = quantised(SMALL, pictures=4).graph
    openvino().save_model(graph, tmp_path / "int8.xml", compress_to_fp16=False)
    stored = openvino().Core().read_model(tmp_path / "int8.xml")
    assert {port.get_any_name() for port in stored.inputs} == {"latent", "psi"}
    inputs = [calibration_inputs(SMALL, 0)]
    assert np.array_equal(run(stored, inputs)[0], run(graph, inputs)[0])


def test_a_large_linear_layer_keeps_its_weights_as_bytes() -> None:
    wide = pgan.graph(pgan.random_weights(4, 512, (128,)), "wide")
    result = quantised(wide, pictures=4, least_db=30)
    assert result.layers == 2
    sizes = {
        kind: sum(
            node.get_byte_size()
            for node in graph.get_ordered_ops()
            if node.get_type_name() == "Constant" and node.get_element_type().to_string() == kind
        )
        for graph, kind in ((wide, "f32"), (result.graph, "i8"))
    }
    assert sizes["i8"] == 512 * 128 * 16 + 128 * 128 * 9
    assert 4 * sizes["i8"] <= sizes["f32"]


def test_relu_and_transposed_convolutions_of_a_dcgan() -> None:
    weights = dcgan.DcganWeights(
        linear=layer(32 * 16, 16),
        blocks=(layer_in(32, 16, 2), layer_in(16, 16, 2), layer_in(16, 3, 0.4)),
    )
    graph = dcgan.graph(weights, "dcgan")
    result = quantised(graph)
    assert integer_layers(result.graph)["Deconvolution"] == result.layers == 3
    assert worst_db(graph, result.graph) >= LEAST_DB


def layer_in(inputs: int, outputs: int, gain: float) -> Layer:
    """A transposed convolution that is no fused upsampling."""
    weight = RANDOM.standard_normal((inputs, outputs, 4, 4), np.float32)
    return Layer(weight * np.float32(gain / np.sqrt(4 * inputs)), numbers(outputs))


def test_noise_and_styles_of_a_stylegan() -> None:
    def styled(channels: int) -> stylegan.Styled:
        return stylegan.Styled(0.1, Layer(numbers(2 * channels, 16), np.ones(2 * channels, "f4")))

    weights = stylegan.StyleganWeights(
        mapping=(layer(16, 16),),
        mean_w=numbers(16),
        constant=numbers(32, 4, 4) * np.float32(4),
        first=styled(32),
        convolution=layer(32, 32, 3, 3),
        second=styled(32),
        blocks=(stylegan.Block(fused(16, 32), styled(16), layer(16, 16, 3, 3), styled(16)),),
        to_rgb=Layer(numbers(3, 16, 1, 1) * np.float32(0.15), numbers(3)),
    )
    graph = stylegan.graph(weights, "stylegan")
    result = quantised(graph)
    assert result.layers == 3
    assert worst_db(graph, result.graph) >= LEAST_DB


@pytest.mark.parametrize("zero_point", [0, 1, 100, 254])
def test_a_layer_of_exact_values_is_exact_up_to_its_border(zero_point: int) -> None:
    """Features and weights that bytes can stand for: nothing is left but float's own rounding."""
    span = Range(0.5, zero_point)
    features = (RANDOM.integers(0, 256, (1, 8, 5, 6)) - zero_point).astype(np.float32) * span.step
    plain = RANDOM.integers(-31, 32, (4, 8, 3, 3)).astype(np.float32)
    plain[:, 0] = 0
    plain[:, 0, 0, 0] = 127  # the largest of each output, also of sums of up to four taps
    for weight, made in (
        (plain, convolution),
        (fuse_upsampling(plain), upsampling_convolution),
    ):
        x = parameter("x", features.shape)
        graph = model(made(x, Layer(weight, numbers(4))), [x], "one")
        names = [node.get_friendly_name() for node in graph.get_ordered_ops()]
        name = next(name for name in names if name.startswith("Convolution"))
        integers = with_integers(graph, {name: span})
        wanted, found = (run(one, [{"x": features}])[0] for one in (graph, integers))
        assert np.allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_range_keeps_zero_exact_and_is_no_worse_than_the_whole_span() -> None:
    normal = numbers(20_000)
    values = np.where(normal > 0, normal, 0.2 * normal)
    span = best_range(values)
    assert span.low < 0 < span.high < 1.01 * values.max()
    assert 0 < span.zero_point < 128
    whole = Range(float(values.max() - values.min()) / 255, span.zero_point)
    assert square_error(values, span) < square_error(values, whole)


def square_error(values: Array, span: Range) -> float:
    byte = np.clip(np.rint(values / span.step) + span.zero_point, 0, 255)
    return float((((byte - span.zero_point) * span.step - values) ** 2).mean())


def test_values_that_are_never_negative_use_all_bytes() -> None:
    span = best_range(np.abs(numbers(1000)))
    assert (span.zero_point, span.low) == (0, 0.0)


def test_values_that_are_all_zero_have_a_range() -> None:
    assert best_range(np.zeros(10, np.float32)) == Range(1.0, 0)


def test_weights_have_a_scale_for_each_output_channel() -> None:
    weight = numbers(4, 3, 3, 3) * np.array([1, 10, 100, 0], np.float32).reshape(4, 1, 1, 1)
    integers, scale = rounded_weight(weight, output_axis=0)
    assert integers.dtype == np.int8
    assert scale.shape == (4, 1, 1, 1)
    assert np.abs(integers).max() == 127
    error = np.abs(integers * scale - weight).max((1, 2, 3))
    assert (error <= 0.31 * np.abs(weight).max((1, 2, 3))).all()  # clipped to 0.7 at most
    assert error[3] == 0


def test_the_ratio_is_that_of_a_known_error() -> None:
    black = np.zeros((3, 4, 4), np.uint8)
    assert psnr_db(black + np.uint8(255), black) == pytest.approx(0)
    assert psnr_db(black + np.uint8(1), black) == pytest.approx(20 * np.log10(255))
    assert psnr_db(black, black) == pytest.approx(20 * np.log10(255) + 10 * np.log10(48))
