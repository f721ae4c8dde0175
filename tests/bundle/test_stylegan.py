"""The StyleGAN's algebra: mapping, truncation, noise and styles, the graph against numpy."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import correlate

from twinserve.bundle.bundle import Bundle, BundleFacts
from twinserve.bundle.engine import Arithmetic, Engine
from twinserve.bundle.latents import latent
from twinserve.bundle.layers import Array, Layer, fuse_upsampling
from twinserve.bundle.stylegan import Block, Styled, StyleganWeights, graph, noise_sides

RANDOM = np.random.default_rng(5)
LATENT, WIDTH, FINER = 6, 8, 4


def numbers(*shape: int) -> Array:
    fan_in = np.prod(shape[1:]) if len(shape) > 1 else 4
    return RANDOM.standard_normal(shape, np.float32) / np.float32(np.sqrt(fan_in))


def layer(*shape: int) -> Layer:
    return Layer(numbers(*shape), numbers(shape[0]))


def styled(channels: int) -> Styled:
    return Styled(float(RANDOM.standard_normal()), layer(2 * channels, WIDTH))


PLAIN = layer(FINER, WIDTH, 3, 3)  # behind an upsampling
WEIGHTS = StyleganWeights(
    mapping=(layer(WIDTH, LATENT), layer(WIDTH, WIDTH)),
    mean_w=numbers(WIDTH),
    constant=numbers(WIDTH, 4, 4),
    first=styled(WIDTH),
    convolution=layer(WIDTH, WIDTH, 3, 3),
    second=styled(WIDTH),
    blocks=(
        Block(
            Layer(fuse_upsampling(PLAIN.weight), PLAIN.bias),
            styled(FINER),
            layer(FINER, FINER, 3, 3),
            styled(FINER),
        ),
    ),
    to_rgb=layer(3, FINER, 1, 1),
)


def convolved(x: Array, by: Layer) -> Array:
    pad = by.weight.shape[-1] // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    maps = [correlate(padded, kernel, mode="valid")[0] for kernel in by.weight]
    return np.stack(maps) + by.bias[:, None, None]


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.2 * x)


def with_style(x: Array, noise: Array, w: Array, how: Styled) -> Array:
    x = leaky(x + how.strength * noise)
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    factors, offsets = (how.style.weight @ w + how.style.bias).reshape(2, -1, 1, 1)
    return np.asarray((x - mean) / np.sqrt(variance + 1e-8) * factors + offsets)


def by_hand(z: Array, noise: list[Array], psi: float) -> tuple[Array, Array]:
    """The picture, and the features of the level before the last."""
    w = z / np.sqrt((z**2).mean() + 1e-8)
    for step in WEIGHTS.mapping:
        w = leaky(step.weight @ w + step.bias)
    w = WEIGHTS.mean_w + psi * (w - WEIGHTS.mean_w)
    x = with_style(WEIGHTS.constant, noise[0], w, WEIGHTS.first)
    older = x = with_style(convolved(x, WEIGHTS.convolution), noise[1], w, WEIGHTS.second)
    block = WEIGHTS.blocks[0]
    x = with_style(convolved(doubled(x), PLAIN), noise[2], w, block.first)
    x = with_style(convolved(x, block.convolution), noise[3], w, block.second)
    return convolved(x, WEIGHTS.to_rgb), older


def doubled(x: Array) -> Array:
    return x.repeat(2, axis=1).repeat(2, axis=2)


def engine_of(weights: StyleganWeights) -> Engine:
    facts = BundleFacts(
        name="t",
        architecture="stylegan",
        resolution=weights.resolution,
        latent=weights.latent,
        terms="",
        commercial_use=True,
        description="",
        truncation=0.7,
        content_hash="",
    )
    return Engine(Bundle(facts, graph(weights, "t")), Arithmetic.F32)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_of(WEIGHTS)


@pytest.fixture(scope="module")
def noise() -> list[Array]:
    return [RANDOM.standard_normal((side, side), np.float32) for side in noise_sides(WEIGHTS)]


@pytest.mark.parametrize("psi", [None, 0.0, 0.3, 1.0])
def test_the_graph_computes_what_the_layers_say(
    engine: Engine, noise: list[Array], psi: float | None
) -> None:
    z = latent(1, 2, LATENT)
    expected, _ = by_hand(z, noise, 0.7 if psi is None else psi)
    assert np.allclose(engine.picture(z, noise, psi), expected, atol=1e-4)


def test_noise_comes_in_two_maps_a_level_and_from_the_seed(engine: Engine) -> None:
    assert engine.noise_shapes == ((1, 1, 4, 4),) * 2 + ((1, 1, 8, 8),) * 2
    assert engine.truncates
    assert np.array_equal(engine.image(3, 1), engine_of(WEIGHTS).image(3, 1))
    assert not np.array_equal(engine.image(3, 1), engine.image(3, 2))


def test_each_noise_map_has_its_own_place(engine: Engine, noise: list[Array]) -> None:
    z = latent(1, 2, LATENT)
    before = engine.picture(z, noise)
    for place in range(len(noise)):
        other = [-maps if k == place else maps for k, maps in enumerate(noise)]
        assert np.abs(engine.picture(z, other) - before).max() > 1e-3


def test_a_level_that_fades_in_is_blended_with_the_older(noise: list[Array]) -> None:
    older_rgb, z = layer(3, WIDTH, 1, 1), latent(1, 2, LATENT)
    newer, older = by_hand(z, noise, 1.0)
    expected = 0.25 * newer + 0.75 * doubled(convolved(older, older_rgb))
    fading = engine_of(replace(WEIGHTS, older_rgb=older_rgb, alpha=0.25))
    assert np.allclose(fading.picture(z, noise, 1.0), expected, atol=1e-4)
