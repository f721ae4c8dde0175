"""The DCGAN's algebra: batch normalisation folded, the graph against numpy and SciPy."""

import numpy as np
from scipy.signal import convolve

from twinserve.bundle.bundle import Bundle, BundleFacts
from twinserve.bundle.dcgan import BatchNorm, DcganWeights, as_linear, fold, graph
from twinserve.bundle.engine import Arithmetic, Engine
from twinserve.bundle.latents import latent
from twinserve.bundle.layers import Array, Layer

LATENT, WIDTHS = 8, (6, 5, 3)


def norm(channels: int, random: np.random.Generator) -> BatchNorm:
    weight, bias, mean = random.standard_normal((3, channels)).astype(np.float32)
    return BatchNorm(weight, bias, mean, random.uniform(0.2, 2, channels).astype(np.float32))


def normalised(x: Array, by: BatchNorm) -> Array:
    """By definition, channels first."""
    column = (slice(None), None, None)
    ratio = (x - by.mean[column]) / np.sqrt(by.variance[column] + by.epsilon)
    return np.asarray(ratio * by.weight[column] + by.bias[column], np.float32)


def transposed(x: Array, weight: Array, stride: int, padding: int) -> Array:
    """(in, h, w) with (in, out, 4, 4): zeros between the pixels, then SciPy's full convolution."""
    spread = np.zeros((len(x), stride * x.shape[1] - stride + 1, stride * x.shape[2] - stride + 1))
    spread[:, ::stride, ::stride] = x
    full = np.stack(
        [
            sum(convolve(spread[i], weight[i, o]) for i in range(len(x)))
            for o in range(weight.shape[1])
        ]
    )
    return np.asarray(full[:, padding:-padding, padding:-padding] if padding else full, np.float32)


def test_the_graph_computes_what_the_layers_say() -> None:
    random = np.random.default_rng(0)
    first = random.standard_normal((LATENT, WIDTHS[0], 4, 4), np.float32) * np.float32(0.3)
    inner = random.standard_normal((WIDTHS[0], WIDTHS[1], 4, 4), np.float32) * np.float32(0.2)
    last = random.standard_normal((WIDTHS[1], 3, 4, 4), np.float32) * np.float32(0.2)
    norms = [norm(width, random) for width in WIDTHS[:2]]
    weights = DcganWeights(
        linear=as_linear(fold(first, norms[0])),
        blocks=(fold(inner, norms[1]), Layer(last, np.zeros(3, np.float32))),
    )
    assert (weights.latent, weights.resolution) == (LATENT, 16)
    z = latent(1, 2, LATENT)

    x = normalised(transposed(z[:, None, None], first, 1, 0), norms[0])
    x = normalised(transposed(np.maximum(x, 0), inner, 2, 1), norms[1])
    x = transposed(np.maximum(x, 0), last, 2, 1)
    assert np.allclose(engine_of(weights).picture(z), np.tanh(x), atol=1e-5)
    plain = DcganWeights(weights.linear, weights.blocks, squashed=False)
    assert np.allclose(engine_of(plain).picture(z), x, atol=1e-4)


def engine_of(weights: DcganWeights) -> Engine:
    facts = BundleFacts(
        name="t",
        architecture="dcgan",
        resolution=weights.resolution,
        latent=weights.latent,
        terms="",
        commercial_use=True,
        description="",
        content_hash="",
    )
    engine = Engine(Bundle(facts, graph(weights, "t")), Arithmetic.F32)
    assert not engine.truncates
    assert engine.noise_shapes == ()
    return engine
