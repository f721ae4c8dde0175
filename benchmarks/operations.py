"""How many operations a second a network reaches on this core, and how many a plain matrix product
of the same arithmetic does.

    python benchmarks/operations.py --model random-64 --arithmetic f32 --rounds 5

prints one line of JSON. A multiplication with its addition counts as two operations. Products and
network run in turns, each twice of which the second counts, and what counts is CPU time: so other
work on the machine hits all alike.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from twinserve.bundle.engine import Arithmetic, Engine
from twinserve.bundle.latents import latent
from twinserve.bundle.openvino_runtime import openvino
from twinserve.bundle.store import open_bundle

# Rows, inner length and columns; ``speed_report.REFERENCE`` is the one that the target is about.
PRODUCTS = ((1024, 1024, 1024), (2048, 2048, 2048), (1024, 4096, 4096))
BYTES = 256


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--arithmetic", type=Arithmetic, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(json.dumps(rates(options.model, options.arithmetic, options.rounds)))


def rates(model: str, arithmetic: Arithmetic, rounds: int) -> dict[str, Any]:
    """Operations of one image, and operations per second of the network and of each product."""
    bundle = open_bundle(model)
    operations = sum(count_operations(bundle.graph).values())
    engine = Engine(bundle, arithmetic, threads=1)
    z = latent(0, 0, bundle.facts.latent)
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "network": (operations, lambda: engine.picture(z))
    }
    for library, made in (("OpenVINO", _openvino_product), ("numpy", _numpy_product)):
        for size in PRODUCTS:
            if library == "OpenVINO" or arithmetic is Arithmetic.F32:
                name = f"{library} {'x'.join(map(str, size))}"
                work[name] = (2 * math.prod(size), made(size, arithmetic))
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, (_, run) in work.items():
            run()  # the one before has left the caches to itself
            begun = time.process_time()
            run()
            seconds[name].append(time.process_time() - begun)
    reached = {name: count / statistics.median(seconds[name]) for name, (count, _) in work.items()}
    return {
        "operations": operations,
        "network_per_s": reached.pop("network"),
        "products_per_s": reached,
    }


def count_operations(graph: Any) -> Counter[str]:
    """Operations of a graph's matrix products and convolutions, by the name of their node.

    Taps that fall outside a picture count as well: they are computed like the others.
    """
    found: Counter[str] = Counter()
    for node in graph.get_ordered_ops():
        kind = node.get_type_name()
        if kind in COUNTED:
            found[kind] += 2 * COUNTED[kind](node)
    return found


def _matrix_product(node: Any) -> int:
    rows_and_columns = math.prod(node.get_output_shape(0))
    inner = node.input_value(0).get_shape()[-2 if node.get_attributes()["transpose_a"] else -1]
    return rows_and_columns * inner


def _convolution(node: Any) -> int:
    """Each output element takes all taps of all input channels; weights are (out, in, h, w)."""
    return math.prod(node.get_output_shape(0)) * math.prod(node.input_value(1).get_shape()[1:])


def _transposed_convolution(node: Any) -> int:
    """Each input element goes to all taps of all output channels; weights are (in, out, h, w)."""
    taps = math.prod(node.input_value(1).get_shape()[1:])
    return math.prod(node.input_value(0).get_shape()) * taps


COUNTED: dict[str, Callable[[Any], int]] = {
    "MatMul": _matrix_product,
    "Convolution": _convolution,
    "ConvolutionBackpropData": _transposed_convolution,
}


def _openvino_product(size: tuple[int, int, int], arithmetic: Arithmetic) -> Callable[[], object]:
    """(rows, inner) times a constant (columns, inner), compiled as a bundle is."""
    op, (rows, inner, columns) = openvino().opset13, size
    random = np.random.default_rng(0)
    x = op.parameter([rows, inner], np.float32, name="x")
    weight = random.standard_normal((columns, inner), np.float32)
    if arithmetic in (Arithmetic.F32, Arithmetic.BF16):
        product, precision = op.matmul(x, op.constant(weight), False, True), arithmetic.value
    else:
        product, precision = _integer_product(x, weight), "f32"
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
    }
    model = openvino().Model([product], [x], "product")
    request = openvino().Core().compile_model(model, "CPU", options).create_infer_request()
    values = random.standard_normal((rows, inner), np.float32)
    return lambda: request.infer({0: values})


def _integer_product(x: Any, weight: Any) -> Any:
    """Both factors as bytes, with a scale for each column: what a quantised layer is. Unsigned ones
    on the left, which is the fastest that OpenVINO has."""
    op = openvino().opset13
    limits = [op.constant(np.array(value, np.float32)) for value in (0, 4)]
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    integers = op.constant(np.rint(weight / scale).astype(np.int8))
    weights = op.multiply(op.convert(integers, np.float32), op.constant(scale))
    return op.matmul(op.fake_quantize(x, *limits, *limits, BYTES), weights, False, True)


def _numpy_product(size: tuple[int, int, int], _: Arithmetic) -> Callable[[], object]:
    random, (rows, inner, columns) = np.random.default_rng(0), size
    a = random.standard_normal((rows, inner), np.float32)
    b = random.standard_normal((inner, columns), np.float32)
    return lambda: a @ b


if __name__ == "__main__":
    main()
