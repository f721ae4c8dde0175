"""The algebra of a bundle: fused upsampling and the graph, against numpy and SciPy."""

import numpy as np
import pytest
from scipy.signal import correlate

from twinserve.bundle.bundle import Bundle, BundleFacts
from twinserve.bundle.engine import Arithmetic, Engine
from twinserve.bundle.latents import latent
from twinserve.bundle.layers import Array, Layer, fuse_upsampling
from twinserve.bundle.pgan import PganWeights, graph, random_weights


def convolved(x: Array, weight: Array) -> Array:
    """(in, h, w) with (out, in, k, k), same size, by SciPy's correlation."""
    pad = weight.shape[-1] // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    return np.stack([correlate(padded, kernel, mode="valid")[0] for kernel in weight])


def transposed(x: Array, weight: Array) -> Array:
    """(in, h, w) with (in, out, 4, 4), stride 2, padding 1, by its definition."""
    _, h, w = x.shape
    out = np.zeros((weight.shape[1], 2 * h + 2, 2 * w + 2))
    for i in range(h):
        for j in range(w):
            patch = np.tensordot(x[:, i, j], weight, axes=1)
            out[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += patch
    return out[:, 1:-1, 1:-1]


def upsampled(x: Array) -> Array:
    return x.repeat(2, axis=1).repeat(2, axis=2)


def test_a_fused_convolution_equals_upsampling_then_convolving() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((3, 5, 6), np.float32)
    weight = random.standard_normal((2, 3, 3, 3), np.float32)
    assert np.allclose(
        transposed(x, fuse_upsampling(weight)), convolved(upsampled(x), weight), atol=1e-5
    )


def activated(x: Array) -> Array:
    x = np.where(x > 0, x, 0.2 * x)
    return x / np.sqrt((x**2).mean(axis=0, keepdims=True) + 1e-8)


def biased(x: Array, layer: Layer) -> Array:
    return x + layer.bias[:, None, None]


def by_hand(weights: PganWeights, z: Array) -> Array:
    """The generator in numpy, layer by layer."""
    z = z / np.sqrt((z**2).mean() + 1e-8)
    x = (weights.linear.weight @ z + weights.linear.bias).reshape(-1, 4, 4)
    x = activated(x)
    x = activated(biased(convolved(x, weights.first.weight), weights.first))
    for upsampling, convolution in weights.blocks:
        x = activated(biased(transposed(x, upsampling.weight), upsampling))
        x = activated(biased(convolved(x, convolution.weight), convolution))
    return biased(convolved(x, weights.to_rgb.weight), weights.to_rgb)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    weights = random_weights(16, 64, (32, 32, 32))
    facts = BundleFacts(
        name="t",
        resolution=16,
        latent=weights.latent,
        terms="",
        commercial_use=True,
        description="",
        content_hash="",
    )
    return Bundle(facts, graph(weights, "t"))


def test_openvino_computes_what_numpy_computes(bundle: Bundle) -> None:
    z = latent(1, 2, bundle.facts.latent)
    picture = Engine(bundle, Arithmetic.F32).picture(z)
    assert picture.shape == (3, 16, 16)
    assert np.allclose(picture, by_hand(random_weights(16, 64, (32, 32, 32)), z), atol=1e-4)


def test_an_image_does_not_depend_on_those_before_it_or_on_threads(bundle: Bundle) -> None:
    alone = Engine(bundle, Arithmetic.F32, threads=1).image(5, 3)
    engine = Engine(bundle, Arithmetic.F32, threads=2)
    row = [engine.image(5, k) for k in range(4)]
    assert np.array_equal(row[3], alone)
    assert not np.array_equal(row[2], alone)
